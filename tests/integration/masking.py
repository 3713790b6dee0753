"""Answers made comparable between engines and runs: ids, times, process ids, addresses and places are replaced by their kinds."""

import re
from typing import Any

_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_IPV4 = re.compile(r"172\.\d+\.\d+\.\d+|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+")
_EPOCH = "0001-01-01T00:00:00Z"

IN_ANY_ORDER = frozenset(("MaskedPaths", "ReadonlyPaths", "Mounts"))
OWN_WAYS = frozenset(("Runtime", "Data", "SandboxID", "SandboxKey", "Name"))
"""Fields whose values are each engine's own matter."""


def masked(value: Any, key: str = "") -> Any:
    if key in OWN_WAYS and value:
        return "<own>"
    if isinstance(value, dict):
        return {_word(name): masked(member, name) for name, member in sorted(value.items())}
    if isinstance(value, list):
        members = [masked(member) for member in value]
        return sorted(members, key=str) if key in IN_ANY_ORDER else members
    if key in ("Pid", "Created", "SizeRw", "SizeRootFs") and value:
        return "<number>"
    return _word(value, key) if isinstance(value, str) else value


def _word(text: str, key: str = "") -> str:
    if _TIME.fullmatch(text):
        return text if text == _EPOCH else "<time>"
    if key.endswith("Path") and text.startswith("/"):
        return "<path>"
    for pattern, kind in ((_ID, "<id>"), (_MAC, "<mac>"), (_IPV4, "<ip>"), (_SHORT_ID, "<id>")):
        if pattern.fullmatch(text):
            return kind
    return _ID.sub("<id>", text)


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where two values differ, one line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted(ours.keys() | theirs.keys())
        absent = "<absent>"
        return [line for name in names for line in differences(ours.get(name, absent), theirs.get(name, absent), f"{path}.{name}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [line for n, pair in enumerate(zip(ours, theirs, strict=True)) for line in differences(*pair, f"{path}[{n}]")]
    return [] if ours == theirs else [f"{path}: {ours!r}, Docker: {theirs!r}"]
