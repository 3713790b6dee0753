"""The daemon's settings: dockerd's own flags and `daemon.json`, read into one frozen value.

An option that dockerd knows and Corten has no use for is accepted with a warning, so that a host's existing configuration works;
anything else is refused. Where an option may be given by flag and by file, giving both is refused, as dockerd does.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from corten.errors import Invalid
from corten.gcpolicy import BuildCacheRule, GcPolicy, build_cache_rules_from_json, gc_policy_from_json, parse_gc_policy
from corten.units import parse_bool, parse_size

DEFAULT_HOST: Final = "unix:///run/corten/corten.sock"
DEFAULT_FILE: Final = "/etc/corten/daemon.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPool:
    """Networks of prefix length `size` are cut from `base`."""

    base: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultUlimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Paths are absolute, sizes bytes, times seconds. None and "" mean the built-in default of whoever uses the value."""

    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    data_root: str = "/var/lib/corten"
    exec_root: str = "/run/corten"
    pidfile: str = ""
    config_file: str = DEFAULT_FILE
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    group: str = ""
    labels: tuple[str, ...] = ()
    tls: bool = False
    tls_verify: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    max_downloads: int = 3
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    max_layer_size: int = 0
    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    ipv6: bool = False
    default_gateway: str = ""
    default_gateway_v6: str = ""
    address_pools: tuple[AddressPool, ...] = ()
    iptables: bool = True
    ip6tables: bool = True
    icc: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    publish_ip: str = ""
    mtu: int = 0
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()
    default_runtime: str = "corten"
    runtimes: Mapping[str, str] = field(default_factory=dict)
    default_shm_size: int = 0
    compat_shm: bool = False
    bind_user: str = ""
    default_ulimits: tuple[DefaultUlimit, ...] = ()
    default_cgroupns_mode: str = ""
    default_ipc_mode: str = ""
    init: bool = False
    no_new_privileges: bool = False
    cgroup_parent: str = ""
    seccomp_profile: str = ""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    build_ca: str = ""
    reproducible_builds: bool = False
    gc: GcPolicy = field(default_factory=GcPolicy)
    cache_rules: tuple[BuildCacheRule, ...] = ()
    validate: bool = False
    remove_networks: bool = False
    ignore_unsupported: bool = False


Kind = Literal["text", "ip", "path", "switch", "number", "size", "list", "map", "pools", "ulimits", "gc", "rules", "me"]


@dataclass(frozen=True, slots=True)
class Option:
    """`field` "" = known to dockerd only. `key` is daemon.json's name where it differs from the flag; "-" = not in the file."""

    flag: str
    kind: Kind
    field: str
    help: str = ""
    short: str = ""
    key: str = ""


OPTIONS: Final = (
    Option("host", "list", "hosts", "socket to listen on: unix://PATH or tcp://ADDRESS:PORT", "H", "hosts"),
    Option("data-root", "path", "data_root", "where images, containers and volumes are kept"),
    Option("exec-root", "path", "exec_root", "where the state of running containers is kept"),
    Option("pidfile", "path", "pidfile", "file for the daemon's process id", "p"),
    Option("config-file", "path", "config_file", f"configuration file (default {DEFAULT_FILE})", key="-"),
    Option("debug", "switch", "debug", "log more", "D"),
    Option("log-level", "text", "log_level", "debug, info, warn, error or fatal", "l"),
    Option("log-format", "text", "log_format", "text or json"),
    Option("group", "text", "group", "group of the unix socket (default docker or corten, if there is one)", "G"),
    Option("label", "list", "labels", "key=value of this engine", key="labels"),
    Option("tls", "switch", "tls", "use TLS on tcp sockets"),
    Option("tlsverify", "switch", "tls_verify", "use TLS and demand a client certificate"),
    Option("tlscacert", "path", "tls_ca", "authority that client certificates must be signed by"),
    Option("tlscert", "path", "tls_cert", "server certificate"),
    Option("tlskey", "path", "tls_key", "server key"),
    Option(
        "insecure-registry", "list", "insecure_registries", "registry or network to be spoken to without TLS", key="insecure-registries"
    ),
    Option("registry-mirror", "list", "registry_mirrors", "mirror of Docker Hub", key="registry-mirrors"),
    Option("max-concurrent-downloads", "number", "max_downloads", "layers pulled at the same time"),
    Option("http-proxy", "text", "http_proxy", "proxy for registries without TLS (default: HTTP_PROXY)"),
    Option("https-proxy", "text", "https_proxy", "proxy for registries (default: HTTPS_PROXY)"),
    Option("no-proxy", "text", "no_proxy", "hosts and networks to be reached without a proxy (default: NO_PROXY)"),
    Option("max-layer-size", "size", "max_layer_size", "refuse a layer that is larger unpacked (default: what the disk holds)"),
    Option("bridge", "text", "bridge", "bridge of the default network, or none", "b"),
    Option("bip", "text", "bip", "IPv4 address and prefix of the default bridge"),
    Option("bip6", "text", "bip6", "IPv6 address and prefix of the default bridge"),
    Option("fixed-cidr", "text", "fixed_cidr", "IPv4 range for containers on the default bridge"),
    Option("fixed-cidr-v6", "text", "fixed_cidr_v6", "IPv6 range for containers on the default bridge"),
    Option("ipv6", "switch", "ipv6", "IPv6 on the default bridge"),
    Option("default-gateway", "ip", "default_gateway", "IPv4 gateway of containers on the default bridge"),
    Option("default-gateway-v6", "ip", "default_gateway_v6", "IPv6 gateway of containers on the default bridge"),
    Option("default-address-pool", "pools", "address_pools", "base=CIDR,size=PREFIX for new networks", key="default-address-pools"),
    Option("iptables", "switch", "iptables", "set up the firewall for IPv4"),
    Option("ip6tables", "switch", "ip6tables", "set up the firewall for IPv6"),
    Option("icc", "switch", "icc", "containers on the default bridge may reach each other"),
    Option("ip-forward", "switch", "ip_forward", "let the host route"),
    Option("ip-masq", "switch", "ip_masq", "masquerade containers of the default bridge"),
    Option("ip", "ip", "publish_ip", "host address of published ports that name none (default every address)"),
    Option("publish-default", "ip", "publish_ip", "another name of --ip"),
    Option("mtu", "number", "mtu", "MTU of the default bridge"),
    Option("dns", "list", "dns", "DNS server of containers"),
    Option("dns-opt", "list", "dns_options", "resolv.conf option of containers", key="dns-opts"),
    Option("dns-search", "list", "dns_search", "DNS search domain of containers"),
    Option("host-gateway-ip", "list", "host_gateway_ips", "what host-gateway stands for in --add-host", key="host-gateway-ips"),
    Option("default-runtime", "text", "default_runtime", "OCI runtime of containers that name none"),
    Option("add-runtime", "map", "runtimes", "NAME=PATH of another OCI runtime", key="runtimes"),
    Option(
        "default-shm-size", "size", "default_shm_size", "size of /dev/shm (default: half of the memory limit, else of the machine's memory)"
    ),
    Option("compat-shm", "switch", "compat_shm", "give /dev/shm 64 MB by default, as Docker does"),
    Option("user", "me", "bind_user", "me: what containers write into bind mounts belongs to the user who made them"),
    Option("default-ulimit", "ulimits", "default_ulimits", "NAME=SOFT[:HARD] for every container", key="default-ulimits"),
    Option("default-cgroupns-mode", "text", "default_cgroupns_mode", "host or private"),
    Option("default-ipc-mode", "text", "default_ipc_mode", "shareable or private"),
    Option("init", "switch", "init", "run an init in every container"),
    Option("no-new-privileges", "switch", "no_new_privileges", "set no-new-privileges in every container"),
    Option("cgroup-parent", "text", "cgroup_parent", "parent cgroup of containers"),
    Option("seccomp-profile", "text", "seccomp_profile", "file with a seccomp profile, builtin or unconfined"),
    Option("log-driver", "text", "log_driver", "json-file, local or none"),
    Option("log-opt", "map", "log_options", "option of the log driver", key="log-opts"),
    Option("cdi-spec-dir", "list", "cdi_spec_dirs", "directory of CDI specifications", key="cdi-spec-dirs"),
    Option("build-ca", "text", "build_ca", "host: RUN steps of builds trust this machine's certificate authorities (default none)"),
    Option("gc", "gc", "gc", "high=85%,low=75%,trash=72h,keep=14d,pin=NAME: when what is cleared away"),
    Option("validate", "switch", "validate", "check the configuration and exit", key="-"),
    Option("remove-networks", "switch", "remove_networks", "remove the networks that a former daemon left on this host, and exit", key="-"),
    Option("ignore-unsupported", "switch", "ignore_unsupported", "start although an option that protects has no effect here", key="-"),
    # Containers always live on.
    Option("live-restore", "switch", "-"),
    Option("shutdown-timeout", "number", "-"),
    # dockerd's alone.
    *(Option(flag, "switch", "") for flag in ("allow-direct-routing", "cri-containerd", "experimental", "ip-forward-no-drop", "raw-logs")),
    *(Option(flag, "switch", "") for flag in ("rootless", "selinux-enabled", "userland-proxy")),
    *(Option(flag, "number", "") for flag in ("cpu-rt-period", "cpu-rt-runtime", "max-concurrent-uploads", "max-download-attempts")),
    Option("network-control-plane-mtu", "number", ""),
    *(Option(flag, "text", "") for flag in ("containerd", "containerd-namespace", "containerd-plugins-namespace")),
    *(Option(flag, "text", "") for flag in ("init-path", "metrics-addr")),
    *(Option(flag, "text", "") for flag in ("swarm-default-advertise-addr", "userland-proxy-path", "userns-remap")),
    Option("storage-driver", "text", "", short="s"),
    *(Option(flag, "list", "", key=f"{flag}s") for flag in ("storage-opt", "exec-opt", "node-generic-resource", "authorization-plugin")),
    *(Option(flag, "map", "", key=f"{flag}s") for flag in ("feature", "default-network-opt")),
)
FILE_ONLY: Final = frozenset(("proxies", "builder", "min-api-version", "default-network-opts"))

BUILDER: Final = Option("builder", "rules", "cache_rules")
"""In the file alone, as in dockerd."""
REPRODUCIBLE: Final = Option("builder.reproducible", "switch", "reproducible_builds")
"""A member of `builder` too."""

_BY_FLAG: Final = {option.flag: option for option in OPTIONS}
_BY_SHORT: Final = {option.short: option for option in OPTIONS if option.short}
_BY_KEY: Final = {option.key or option.flag: option for option in OPTIONS if option.key != "-"}
_NEEDS_NO_WARNING: Final = {"storage-driver": ("overlay2", "overlay"), "exec-opt": ("native.cgroupdriver=cgroupfs",)}

_PROTECTS: Final = {
    "authorization-plugin": "no plug-in would be asked about requests",
    "userns-remap": "root in containers would stay the host's root",
    "selinux-enabled": "containers would run without SELinux labels",
    "rootless": "the engine would run with the caller's privileges",
}
"""What it would mean to start without them: these are not passed over."""

Values = dict[str, Any]
"""Parsed values by option flag."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`warnings`: one line for each accepted option that has no effect. `declines_tls`: TLS was turned off by name."""

    config: Config
    warnings: tuple[str, ...] = ()
    declines_tls: bool = False


def load_settings(arguments: Sequence[str]) -> Settings:
    """Flags, then the file they or the default name. Raises Invalid with a sentence for the user."""
    by_flag = parse_flags(arguments)
    path = by_flag.get("config-file", DEFAULT_FILE)
    by_file = parse_file(_read_file(path, must_exist="config-file" in by_flag), path)
    both = sorted(_BY_FLAG[name].key or name for name in by_flag.keys() & by_file.keys())
    if both:
        raise Invalid(f"the following directives are specified both as a flag and in the configuration file: {', '.join(both)}")
    return _settings(by_file | by_flag)


def parse_flags(arguments: Sequence[str]) -> Values:
    """dockerd's flags in pflag's forms: `--name value`, `--name=value`, `-n value`, `-nvalue`, `--switch[=bool]`, `-DH value`."""
    values: Values = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and word != "--":
            name, equals, text = word[2:].partition("=")
            _take(values, _known(_BY_FLAG, name, f"unknown flag: --{name}"), text if equals else None, rest)
        elif word.startswith("-") and len(word) > 1 and word != "--":
            _take_short(values, word[1:], rest)
        else:
            raise Invalid(f'"cortend" accepts no arguments: {word}')
    return values


def parse_file(text: str, path: str = DEFAULT_FILE) -> Values:
    """The members of a daemon.json."""
    if not text.strip():
        return {}
    try:
        members = json.loads(text)
    except ValueError as error:
        raise Invalid(f"unable to configure the daemon with file {path}: {error}") from None
    if not isinstance(members, dict):
        raise Invalid(f"unable to configure the daemon with file {path}: not an object")
    unknown = sorted(members.keys() - _BY_KEY.keys() - FILE_ONLY)
    if unknown:
        raise Invalid(
            f"unable to configure the daemon with file {path}: the following directives don't match any configuration option: "
            + ", ".join(unknown)
        )
    members = {**members, **_proxies(members.get("proxies"), path)}
    values = {_BY_KEY[key].flag: _from_json(_BY_KEY[key], value) for key, value in members.items() if key in _BY_KEY}
    return values | _builder(members["builder"]) if members.get("builder") else values


def _builder(members: Any) -> Values:
    values: Values = {BUILDER.flag: _from_json(BUILDER, members)}
    if "reproducible" in members:
        values[REPRODUCIBLE.flag] = _from_json(REPRODUCIBLE, members["reproducible"])
    return values


def _proxies(value: Any, path: str) -> dict[str, Any]:
    """daemon.json's `proxies`: {"http-proxy", "https-proxy", "no-proxy"}, as flags spell them."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not value.keys() <= {"http-proxy", "https-proxy", "no-proxy"}:
        raise Invalid(f"unable to configure the daemon with file {path}: proxies holds http-proxy, https-proxy and no-proxy")
    return value


def usage() -> str:
    """`cortend --help`."""
    lines = ["Usage: cortend [OPTIONS]", "", "The Corten container engine. Takes dockerd's flags and daemon.json.", "", "Options:"]
    for option in OPTIONS:
        if option.help:
            short = f"-{option.short}, " if option.short else "    "
            metavar = "" if option.kind == "switch" else f" {option.kind}"
            lines.append(f"  {short}--{(option.flag + metavar).ljust(32)} {option.help}")
    return "\n".join(lines) + "\n"


def _take(values: Values, option: Option, text: str | None, rest: list[str]) -> None:
    if text is None:
        if option.kind == "switch":
            text = "true"
        elif rest:
            text = rest.pop(0)
        else:
            raise Invalid(f"flag needs an argument: --{option.flag}")
    value = _from_text(option, text)
    before = values.get(option.flag)
    if isinstance(before, tuple):
        value = before + value
    elif isinstance(before, dict):
        value = before | value
    values[option.flag] = value


def _take_short(values: Values, letters: str, rest: list[str]) -> None:
    while letters:
        option = _known(_BY_SHORT, letters[0], f"unknown shorthand flag: '{letters[0]}' in -{letters}")
        letters = letters[1:]
        if option.kind == "switch" and not letters.startswith("="):
            _take(values, option, "true", rest)
        else:
            _take(values, option, letters.removeprefix("=") or None, rest)
            return


def _known(table: Mapping[str, Option], name: str, message: str) -> Option:
    option = table.get(name)
    if option is None:
        raise Invalid(message, hint="see cortend --help")
    return option


def _from_text(option: Option, text: str) -> Any:
    """A flag's value. Lists and maps come one item at a time."""
    try:
        return _READERS[option.kind](text)
    except ValueError as error:
        raise Invalid(f'invalid argument "{text}" for "--{option.flag}" flag: {error}') from None


def _from_json(option: Option, value: Any) -> Any:
    key = option.key or option.flag
    try:
        return _JSON_READERS.get(option.kind, _scalar_from_json)(value, option.kind)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Invalid(f"unable to configure the daemon: {key}: {json.dumps(value)} is no valid value") from None


def _scalar_from_json(value: Any, kind: Kind) -> Any:
    wanted: dict[str, tuple[type, ...]] = {"switch": (bool,), "number": (int,), "size": (int, str)}
    if not isinstance(value, wanted.get(kind, (str,))):
        raise ValueError(value)
    return _READERS[kind](value) if isinstance(value, str) else value


def _list_from_json(value: Any, kind: Kind) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(value)
    return tuple(value)


def _map_from_json(value: Any, kind: Kind) -> dict[str, str]:
    return {key: item["path"] if isinstance(item, dict) else str(item) for key, item in value.items()}


def _pools_from_json(value: Any, kind: Kind) -> tuple[AddressPool, ...]:
    return tuple(AddressPool(base=item["base"], size=int(item["size"])) for item in value)


def _ulimits_from_json(value: Any, kind: Kind) -> tuple[DefaultUlimit, ...]:
    return tuple(DefaultUlimit(name=name, soft=int(item["Soft"]), hard=int(item["Hard"])) for name, item in value.items())


_JSON_READERS: Final[Mapping[str, Callable[[Any, Kind], Any]]] = {
    "list": _list_from_json,
    "map": _map_from_json,
    "pools": _pools_from_json,
    "ulimits": _ulimits_from_json,
    "gc": lambda value, _: gc_policy_from_json(value),
    "rules": lambda value, _: build_cache_rules_from_json(value),
}


def _read_ip(text: str) -> str:
    """Written its own way; imported here, for few daemons are given one."""
    from ipaddress import ip_address

    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise ValueError(f'failed to parse IP: "{text}"') from None


def _read_me(text: str) -> str:
    if text not in ("", "me"):
        raise ValueError("expected me, or nothing")
    return text


def _read_pair(text: str) -> dict[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError("must be KEY=VALUE")
    return {key: value}


def _read_pool(text: str) -> tuple[AddressPool, ...]:
    members = dict(part.partition("=")[::2] for part in text.split(","))
    if members.keys() != {"base", "size"}:
        raise ValueError("must be base=CIDR,size=PREFIX")
    return (AddressPool(base=members["base"], size=int(members["size"])),)


def _read_ulimit(text: str) -> tuple[DefaultUlimit, ...]:
    name, equals, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    if not equals:
        raise ValueError("must be NAME=SOFT[:HARD]")
    return (DefaultUlimit(name=name, soft=int(soft), hard=int(hard or soft)),)


_READERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    "text": str,
    "ip": _read_ip,
    "path": os.path.abspath,
    "switch": parse_bool,
    "number": int,
    "size": parse_size,
    "list": lambda text: (text,),
    "map": _read_pair,
    "pools": _read_pool,
    "ulimits": _read_ulimit,
    "me": _read_me,
    "gc": parse_gc_policy,
}


def _read_file(path: str, *, must_exist: bool) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        if must_exist:
            raise Invalid(f"unable to configure the daemon with file {path}: no such file") from None
        return ""


def _settings(values: Values) -> Settings:
    of_builder = {option.field: values[option.flag] for option in (BUILDER, REPRODUCIBLE) if option.flag in values}
    values = {name: value for name, value in values.items() if name in _BY_FLAG}
    known = {_BY_FLAG[name].field: value for name, value in values.items() if _BY_FLAG[name].field not in ("", "-")}
    config = replace(Config(), **of_builder, **known)
    if not config.pidfile:
        config = replace(config, pidfile=os.path.join(config.exec_root, "cortend.pid"))
    if config.debug and "log-level" not in values:
        config = replace(config, log_level="debug")
    if config.build_ca not in ("", "host", "none"):
        raise Invalid(f"build-ca is {config.build_ca!r}: host or none", reason="bad-option")
    if config.log_level not in ("debug", "info", "warn", "error", "fatal"):
        raise Invalid(f"invalid logging level: {config.log_level}")
    without = [name for name, value in values.items() if not _BY_FLAG[name].field and not _is_silent(name, value)]
    if not config.ignore_unsupported:
        _refuse_unprotected(without)
    declines = values.get("tls") is False or values.get("tlsverify") is False
    return Settings(config, tuple(map(_warning, without)), declines)


def _refuse_unprotected(names: Sequence[str]) -> None:
    for name in names:
        if name in _PROTECTS:
            raise Invalid(
                f"option {name} of dockerd is not built in Corten: {_PROTECTS[name]}",
                reason="unsupported-protection",
                hint="take it away, or start with --ignore-unsupported",
            )


def _warning(name: str) -> str:
    return f"option {name} of dockerd has no effect in Corten"


def _is_silent(name: str, value: Any) -> bool:
    """A value that asks for what Corten does anyway."""
    asked = value if isinstance(value, tuple) else (value,)
    return all(item in _NEEDS_NO_WARNING.get(name, ()) for item in asked) or value in (False, "")
