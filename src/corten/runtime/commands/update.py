"""update: other limits for a container that exists."""

import json
import sys
from typing import Any

from corten.errors import Conflict, Invalid
from corten.runtime.commands.context import Context
from corten.runtime.commands.options import Option, Parsed
from corten.units import parse_size

# option -> (object, field) of linux.resources
_NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}

OPTIONS = (Option("resources", "r"), *(Option(name) for name in (*_NUMBERS, *_TEXTS)))


def update(context: Context) -> int:
    state = context.runtime.load(context.container_id())
    if context.runtime.status(state) == "stopped":
        raise Conflict("container not running", reason="not-running")
    context.runtime.update(state, resources_of(context.options))
    return 0


def resources_of(options: Parsed) -> dict[str, Any]:
    """linux.resources as --resources has them (- is stdin), or else as the single options say."""
    if options.has("resources"):
        return _load(options.text("resources"))
    resources: dict[str, dict[str, Any]] = {}
    for name, (group, field) in _NUMBERS.items():
        if options.has(name):
            resources.setdefault(group, {})[field] = _number(name, options.text(name))
    for name, (group, field) in _TEXTS.items():
        if options.has(name):
            resources.setdefault(group, {})[field] = options.text(name)
    if not resources:
        raise Invalid("nothing to update", reason="bad-arguments", hint="name a limit, or --resources FILE")
    return resources


def _load(path: str) -> dict[str, Any]:
    try:
        if path == "-":
            found = json.loads(sys.stdin.buffer.read())
        else:
            with open(path, "rb") as f:
                found = json.loads(f.read())
    except ValueError as e:
        raise Invalid(f"{path}: {e}", reason="bad-config") from e
    if not isinstance(found, dict):
        raise Invalid(f"{path}: not a JSON object", reason="bad-config")
    return found


def _number(name: str, text: str) -> int:
    """Bytes as 512m for what counts memory, else a whole number; -1 is "no limit"."""
    try:
        return parse_size(text) if name.startswith("memory") and text != "-1" else int(text)
    except ValueError as e:
        raise Invalid(f"invalid value for {name}: {e}", reason="bad-option") from None
