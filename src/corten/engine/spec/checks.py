"""What a request may ask of the kernel, checked at create with Docker's texts: modes that exclude each other, capabilities,
security options, device rules, ulimits. Limits, mounts and the rest of the request are checked by `engine.containers`."""

from corten.engine.spec.capabilities import normalize_capabilities
from corten.engine.spec.devices import parse_cgroup_rules
from corten.engine.spec.namespaces import is_container_mode, joined_container
from corten.engine.spec.placement import Machine
from corten.engine.spec.seccomp import load_profile
from corten.engine.spec.security import BUILTIN, UNCONFINED, parse_security_options
from corten.engine.spec.tmpfs import tmpfs_options
from corten.engine.values.container import ContainerConfig, HostConfig, Ulimit
from corten.errors import Invalid

_ULIMIT_NAMES = """
core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack as
"""
_ULIMITS = frozenset(_ULIMIT_NAMES.split())
_UNDEFINED = "This would result in undefined behavior"


def check_options(config: ContainerConfig, host: HostConfig, machine: Machine) -> None:
    """Raises Invalid for the first thing refused. `config` is the user's own, before the engine fills in a host name."""
    _check_network_mode(config, host)
    _check_modes(config, host)
    _check_capabilities(host, machine)
    _check_security(host, machine)
    _check_resources(host, machine)
    for text in host.tmpfs.values():
        tmpfs_options(text)


def _conflict(text: str) -> Invalid:
    return Invalid(f"conflicting options: {text}", reason="conflicting-options")


def _check_network_mode(config: ContainerConfig, host: HostConfig) -> None:
    if host.network_mode == "host" and host.links:
        raise _conflict(f"host type networking can't be used with links. {_UNDEFINED}")
    if host.network_mode != "container" and not is_container_mode(host.network_mode):
        return
    if not joined_container(host.network_mode):
        raise Invalid("invalid network mode: invalid container format container:<name|id>", reason="bad-mode")
    excluded = (
        (config.hostname, "hostname and the network mode"),
        (host.links, f"container type network can't be used with links. {_UNDEFINED}"),
        (host.dns, "dns and the network mode"),
        (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
        (config.exposed_ports, "port exposing and the container type network mode"),
    )
    for asked, text in excluded:
        if asked:
            raise _conflict(text)


def _check_modes(config: ContainerConfig, host: HostConfig) -> None:
    if host.uts_mode == "host" and config.hostname:
        raise _conflict("hostname and the UTS mode")
    if host.userns_mode not in ("", "host"):
        raise Invalid(f"invalid user namespace mode: {host.userns_mode}", reason="bad-mode")
    if len(config.hostname) > 64:
        raise Invalid(f'hostname "{config.hostname}" is too long (maximum 64 bytes)', reason="bad-hostname")


def _check_capabilities(host: HostConfig, machine: Machine) -> None:
    for field, names in (("CapAdd", host.cap_add), ("CapDrop", host.cap_drop)):
        try:
            normalize_capabilities(names, machine.capabilities)
        except Invalid as error:
            raise Invalid(f"invalid {field}: {error.message}", reason=error.reason) from error


def _check_security(host: HostConfig, machine: Machine) -> None:
    options = parse_security_options(host.security_opt)
    if options.seccomp not in ("", UNCONFINED, BUILTIN):
        load_profile(options.seccomp, (), machine.arch, machine.kernel)
    if options.apparmor not in ("", UNCONFINED) and not machine.has_apparmor:
        raise Invalid(
            f"--security-opt apparmor={options.apparmor}: AppArmor is not enabled on this kernel, the container would run without it",
            reason="no-apparmor",
            hint="take the option away, or say apparmor=unconfined",
        )
    for label in options.labels:
        if label != "disable":
            raise Invalid(
                f"--security-opt label={label}: SELinux labels are not built in Corten, the container would run without it",
                reason="no-selinux",
                hint="take the option away, or say label=disable",
            )


def _check_resources(host: HostConfig, machine: Machine) -> None:
    resources = host.resources
    parse_cgroup_rules(resources.device_cgroup_rules)
    if resources.blkio_weight and not 10 <= resources.blkio_weight <= 1000:
        raise Invalid("Range of blkio weight is from 10 to 1000", reason="bad-blkio-weight")
    if 0 < resources.cpu_realtime_period < resources.cpu_realtime_runtime:
        raise Invalid("cpu real-time runtime cannot be higher than cpu real-time period", reason="bad-cpu")
    if resources.cgroup_parent and machine.cgroup_manager == "systemd" and not _is_slice(resources.cgroup_parent):
        raise Invalid('cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"', reason="bad-cgroup-parent")
    for limit in resources.ulimits:
        _check_ulimit(limit)


def _is_slice(name: str) -> bool:
    return len(name) > len(".slice") and name.endswith(".slice")


def _check_ulimit(limit: Ulimit) -> None:
    if limit.name.lower() not in _ULIMITS:
        raise Invalid(f"invalid ulimit type: {limit.name}", reason="bad-ulimit")
    if limit.hard >= 0 and (limit.soft < 0 or limit.soft > limit.hard):
        raise Invalid(f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}", reason="bad-ulimit")
