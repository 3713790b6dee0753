"""Limits and rules of a container's life: ulimits, sysctls, restart policy, security options, logging, namespaces modes, capabilities."""

from collections.abc import Iterable, Sequence
from typing import Any

from corten.cli.kinds import checked, integer

Json = dict[str, Any]
ULIMITS = frozenset(
    {
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    }
)
NAMESPACED_SYSCTLS = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)
NAMESPACED_PREFIXES = ("net.", "fs.mqueue.")
STREAMS = frozenset({"stdin", "stdout", "stderr"})


def parse_ulimit(text: str) -> Json:
    """`name=soft[:hard]`."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    soft = integer(64)(parts[0])
    hard = integer(64)(parts[1]) if len(parts) == 2 else soft
    if hard != -1 and (soft == -1 or soft > hard):
        shown = f"{soft} > {hard}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def last_of_each(limits: Iterable[Json]) -> list[Json]:
    """By name; of several for one name the last counts."""
    return sorted({limit["Name"]: limit for limit in limits}.values(), key=lambda limit: str(limit["Name"]))


def parse_sysctl(text: str) -> tuple[str, str]:
    """`name=value` of a sysctl that belongs to a namespace."""
    name, equals, value = text.partition("=")
    if not equals or not (name in NAMESPACED_SYSCTLS or name.startswith(NAMESPACED_PREFIXES)):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return name, value


def parse_stream(text: str) -> str:
    if text.lower() not in STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def restart_policy(text: str) -> Json:
    """`no`, `always`, `unless-stopped`, `on-failure[:times]`. The engine knows which names there are."""
    name, colon, times = text.partition(":")
    if not text:
        return {"Name": "", "MaximumRetryCount": 0}
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    try:
        count = int(times) if times else 0
    except ValueError:
        raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None
    return {"Name": name, "MaximumRetryCount": count}


def capabilities(names: Iterable[str]) -> list[str] | None:
    """In the kernel's spelling (CAP_NET_ADMIN, ALL), once each, sorted."""
    upper = (n.strip().upper() for n in names)
    found = {n if n in {"ALL", "RESET"} or n.startswith("CAP_") else f"CAP_{n}" for n in upper}
    return sorted(found) or None


def security_options(options: Sequence[str]) -> tuple[list[str] | None, bool]:
    """The API's SecurityOpt, and whether `systempaths=unconfined` was among them. A seccomp profile's file is read here."""
    found = []
    unconfined = False
    for option in options:
        key, separator, value = option.partition("=")
        if not separator:
            key, separator, value = option.partition(":")
        if not separator and option != "no-new-privileges":
            raise ValueError(f'Invalid --security-opt: "{option}"')
        if key == "systempaths" and value == "unconfined":
            unconfined = True
        elif key == "seccomp" and value not in {"unconfined", "builtin"}:
            found.append(f"seccomp={_compact_json(value)}")
        else:
            found.append(option)
    return (found if options else None), unconfined


def _compact_json(path: str) -> str:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except OSError as error:
        raise ValueError(f"opening seccomp profile ({path}) failed: open {path}: {(error.strerror or '').lower()}") from None
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None


def log_config(driver: str, options: Iterable[str]) -> Json:
    table = dict(o.partition("=")[::2] for o in options)
    if driver == "none" and table:
        raise ValueError(f"invalid logging opts for driver {driver}")
    return {"Type": driver, "Config": table}


def storage_options(options: Iterable[str]) -> dict[str, str] | None:
    table = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise ValueError("invalid storage option")
        table[key] = value
    return table or None


def check_mode(flag: str, mode: str, *, label: str, others: Sequence[str] = ()) -> str:
    """A namespace mode: "", host, `container:NAME` where that exists, or one of `others`."""
    target = mode.removeprefix("container:") if "container:" in others else ""
    if mode in {"", "host", *others} - {"container:"} or (target != mode and target):
        return mode
    raise ValueError(f"--{flag}: invalid {label} mode")


ULIMIT = checked(parse_ulimit, "ulimit")
SYSCTL = checked(parse_sysctl, "map")
ATTACH = checked(parse_stream)
