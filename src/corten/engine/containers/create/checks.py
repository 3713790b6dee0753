"""What a request for a container must satisfy, with Docker's texts; and Docker's defaults for what it leaves open.

`check` raises the first refusal it meets, `warnings` lists what is granted differently from what was asked.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from corten.config import Config
from corten.engine.containers.log_config import check_log_config
from corten.engine.containers.restart_policy import check_policy
from corten.engine.host import HostFacts, parse_list
from corten.engine.signals import parse_signal
from corten.engine.spec.bind_owner import parse_bind_owner
from corten.engine.spec.masked_paths import READ_ONLY, masked_paths
from corten.engine.spec.security import parse_security_options
from corten.engine.values.container import BUILT_IN_RUNTIMES, ContainerConfig, HealthCheck, HostConfig, LogConfig, PortBinding, Resources
from corten.errors import Invalid, Unsupported
from corten.oci.platform import Platform, can_run, normalise

MIN_MEMORY = 6 << 20
DOCKER_SHM_SIZE = 64 << 20
_ONE_MS = 1_000_000
_PORT = re.compile(r"\d{1,5}(-\d{1,5})?(/(tcp|udp|sctp))?")
_HOST_PORT = re.compile(r"(\d{1,5}(-\d{1,5})?)?")


def check(config: ContainerConfig, host: HostConfig, facts: HostFacts, runtimes: Mapping[str, str]) -> None:
    """Raise Invalid (or Unsupported) when no container can be made of this."""
    _check_config(config)
    check_policy(host.restart_policy)
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise Invalid("can't create 'AutoRemove' container with restart policy", reason="auto-remove-and-restart")
    _check_host(host)
    if host.runtime not in (*BUILT_IN_RUNTIMES, *runtimes):
        raise Invalid(f"unknown or invalid runtime name: {host.runtime}", reason="unknown-runtime")
    _check_modes(host)
    _check_ports(host)
    check_log_config(host.log_config)
    check_resources(host.resources, facts)
    parse_bind_owner(host.annotations)


def with_defaults(host: HostConfig, facts: HostFacts, config: Config) -> HostConfig:
    """`host` with the values that Docker fills in, the daemon's own among them, as inspect shows them."""
    resources = host.resources
    if resources.memory > 0 and resources.memory_swap == 0:
        resources = replace(resources, memory_swap=2 * resources.memory)
    if resources.memory_swappiness == -1:
        resources = replace(resources, memory_swappiness=None)
    if resources.pids_limit is not None and resources.pids_limit <= 0:
        resources = replace(resources, pids_limit=None)
    if resources.oom_kill_disable is None and facts.cgroup_version == 1:
        resources = replace(resources, oom_kill_disable=False)
    log = host.log_config
    if log.type in ("", config.log_driver):
        log = LogConfig(type=config.log_driver, config={**config.log_options, **log.config})
    policy = host.restart_policy if host.restart_policy.name else replace(host.restart_policy, name="no")
    return replace(
        host,
        resources=resources,
        log_config=log,
        restart_policy=policy,
        network_mode="bridge" if host.network_mode in ("", "default") else host.network_mode,
        shm_size=host.shm_size or config.default_shm_size or _shm_size(resources, facts, config),
        cgroupns_mode=host.cgroupns_mode or config.default_cgroupns_mode or _cgroupns_mode(host, facts),
        ipc_mode=host.ipc_mode or config.default_ipc_mode or "private",
        runtime=host.runtime or config.default_runtime,
        security_opt=_security_options(host),
        masked_paths=_system_paths(host, host.masked_paths, masked_paths()),
        readonly_paths=_system_paths(host, host.readonly_paths, READ_ONLY),
    )


def _shm_size(resources: Resources, facts: HostFacts, config: Config) -> int:
    """A bound, not an allocation: what is written there counts as the container's memory. Half, as the kernel gives a tmpfs."""
    if config.compat_shm:
        return DOCKER_SHM_SIZE
    most = min(size for size in (resources.memory, facts.memory) if size > 0) if resources.memory or facts.memory else 2 * DOCKER_SHM_SIZE
    return most // 2 & ~4095


def _system_paths(host: HostConfig, own: tuple[str, ...] | None, default: Sequence[str]) -> tuple[str, ...] | None:
    if own is not None or host.privileged or parse_security_options(host.security_opt).unconfined_system_paths:
        return own
    return tuple(default)


def _security_options(host: HostConfig) -> tuple[str, ...]:
    """Docker notes that nothing privileged is labelled."""
    if host.privileged and not any(option.startswith("label") for option in host.security_opt):
        return (*host.security_opt, "label=disable")
    return host.security_opt


def _cgroupns_mode(host: HostConfig, facts: HostFacts) -> str:
    return "host" if facts.cgroup_version == 1 or host.privileged else "private"


def warnings(config: ContainerConfig, host: HostConfig) -> list[str]:
    """What `docker run` prints as WARNING lines."""
    found: list[str] = []
    if host.network_mode == "host" and host.port_bindings:
        found.append("Published ports are discarded when using host network mode")
    if host.resources.oom_kill_disable and not host.resources.memory:
        found.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources."
        )
    if config.network_disabled and host.network_mode not in ("", "none", "default"):
        found.append("Network is disabled for the container: its network mode is ignored")
    return found


def platform_warning(image: Platform, facts: HostFacts) -> list[str]:
    """For an image that nobody asked for by its platform and that is meant for other machines."""
    host = normalise("linux", facts.architecture, facts.variant)
    if can_run(host, image):
        return []
    does = f"The requested image's platform ({image}) does not match the detected host platform ({host})"
    return [f"{does} and no specific platform was requested"]


def _check_config(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise Invalid(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path", reason="bad-working-dir")
    for entry in config.env:
        if not entry or entry.startswith("="):
            raise Invalid(f"invalid environment variable: {entry}", reason="bad-env")
    if config.stop_signal:
        parse_signal(config.stop_signal)
    if config.healthcheck is not None:
        _check_health(config.healthcheck)


def _check_health(health: HealthCheck) -> None:
    durations = {
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
    }
    for name, value in durations.items():
        if value != 0 and value < _ONE_MS:
            raise Invalid(f"{name} in Healthcheck cannot be less than 1ms", reason="bad-healthcheck")
    if health.retries < 0:
        raise Invalid("Retries in Healthcheck cannot be negative", reason="bad-healthcheck")


def _check_host(host: HostConfig) -> None:
    if host.shm_size < 0:
        raise Invalid("SHM size can not be less than 0", reason="bad-shm-size")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise Invalid(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]", reason="bad-oom-score-adj")
    if host.isolation not in ("", "default"):
        raise Invalid(f"invalid isolation ({host.isolation}): linux only supports 'default'", reason="bad-isolation")
    if "" in host.annotations:
        raise Invalid("invalid Annotations: the empty string is not permitted as an annotation key", reason="bad-annotation")
    for extra in host.extra_hosts:
        if ":" not in extra and "=" not in extra:
            raise Invalid(f'bad format for add-host: "{extra}"', reason="bad-add-host")
    if host.storage_opt:
        raise Unsupported(
            "--storage-opt is not supported", reason="storage-opt-not-built", hint="put a project quota on the data root instead"
        )


def _plain_or_container(*plain: str) -> Callable[[str], bool]:
    return lambda mode: mode in plain or (mode.startswith("container:") and len(mode) > len("container:"))


_MODES: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("PID mode", "pid_mode", _plain_or_container("", "host")),
    ("IPC mode", "ipc_mode", _plain_or_container("", "none", "host", "private", "shareable")),
    ("UTS mode", "uts_mode", lambda mode: mode in ("", "host")),
    ("cgroup namespace mode", "cgroupns_mode", lambda mode: mode in ("", "private", "host")),
)


def _check_modes(host: HostConfig) -> None:
    values = {"pid_mode": host.pid_mode, "ipc_mode": host.ipc_mode, "uts_mode": host.uts_mode, "cgroupns_mode": host.cgroupns_mode}
    for label, name, is_valid in _MODES:
        if not is_valid(values[name]):
            raise Invalid(f"invalid {label}: {values[name]}", reason="bad-mode")
    if host.network_mode == "container:":
        raise Invalid("invalid network mode: container: needs the name or id of a container", reason="bad-mode")


def _check_ports(host: HostConfig) -> None:
    for port, bindings in host.port_bindings.items():
        if not _PORT.fullmatch(port):
            raise _bad_port(port)
        for binding in bindings:
            _check_binding(binding)


def _check_binding(binding: PortBinding) -> None:
    if not _HOST_PORT.fullmatch(binding.host_port):
        raise _bad_port(binding.host_port)
    if any(int(port) > 65535 for port in binding.host_port.split("-") if port):
        raise _bad_port(binding.host_port)


def _bad_port(text: str) -> Invalid:
    return Invalid(f'invalid port specification: "{text}"', reason="bad-port")


def check_resources(resources: Resources, facts: HostFacts) -> None:
    """Docker's limits of limits; `update` checks them as well."""
    _check_memory(resources)
    _check_cpu(resources, facts)
    _check_list("cpuset cpus", "CPUs", resources.cpuset_cpus, facts.online_cpus)
    _check_list("cpuset mems", "memory nodes", resources.cpuset_mems, facts.online_memory)


def _check_memory(resources: Resources) -> None:
    if 0 < resources.memory < MIN_MEMORY:
        raise Invalid("Minimum memory limit allowed is 6MB", reason="bad-memory")
    if resources.memory > 0 and 0 < resources.memory_swap < resources.memory:
        raise Invalid("Minimum memoryswap limit should be larger than memory limit, see usage", reason="bad-memory")
    if resources.memory == 0 and resources.memory_swap > 0:
        raise Invalid("You should always set the Memory limit when using Memoryswap limit, see usage", reason="bad-memory")
    if 0 < resources.memory_reservation < MIN_MEMORY:
        raise Invalid("Minimum memory reservation allowed is 6MB", reason="bad-memory")
    if 0 < resources.memory < resources.memory_reservation:
        raise Invalid("Minimum memory limit can not be less than memory reservation limit, see usage", reason="bad-memory")
    swappiness = resources.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise Invalid(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100", reason="bad-memory")


def _check_cpu(resources: Resources, facts: HostFacts) -> None:
    if resources.cpu_shares < 0:
        raise Invalid(f"invalid CPU shares ({resources.cpu_shares}): value must be a positive integer", reason="bad-cpu")
    if resources.nano_cpus and (resources.cpu_period or resources.cpu_quota):
        other = "Period" if resources.cpu_period else "Quota"
        raise Invalid(f"Conflicting options: Nano CPUs and CPU {other} cannot both be set", reason="bad-cpu")
    if resources.nano_cpus < 0 or resources.nano_cpus > facts.cpus * 1_000_000_000:
        text = f"range of CPUs is from 0.01 to {facts.cpus}.00, as there are only {facts.cpus} CPUs available"
        raise Invalid(text, reason="bad-cpu")
    if resources.cpu_period and not 1000 <= resources.cpu_period <= 1_000_000:
        raise Invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)", reason="bad-cpu")
    if 0 < resources.cpu_quota < 1000:
        raise Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)", reason="bad-cpu")


def _check_list(option: str, what: str, wanted: str, available: str) -> None:
    try:
        missing = parse_list(wanted) - parse_list(available)
    except ValueError:
        raise Invalid(f"Invalid value {wanted} for {option}: invalid format: {wanted}", reason="bad-cpuset") from None
    if missing:
        raise Invalid(f"Requested {what} are not available - requested {wanted}, available: {available}", reason="bad-cpuset")
