"""Which field of a body is wrong, keys of maps included: msgspec says `HostConfig.PortBindings[...][0].HostPort`, this says which port."""

import re
from typing import Any, Final

import msgspec

ANY_KEY: Final = "[...]"
_STEP: Final = re.compile(r"\.?([^.\[\]\0]+)|\[(\0?\d+)\]")


def describe(value: Any, kind: Any, error: msgspec.ValidationError) -> str:
    """`HostConfig.Memory: expected int, got str` for msgspec's "Expected `int | null`, got `str` - at `$.HostConfig.Memory`".

    `value` is what could not be read as `kind`; maps in it lose their other members on the way.
    """
    what, path = _split(error)
    keys: list[str] = []
    while ANY_KEY in path:
        key = _culprit(value, kind, path)
        if key is None:
            break
        keys.append(key)
        path = path.replace(ANY_KEY, f"[\0{len(keys) - 1}]", 1)
    for number, key in enumerate(keys):
        path = path.replace(f"[\0{number}]", f'["{key}"]')
    return f"{path}: {what}" if path else what


def _split(error: msgspec.ValidationError) -> tuple[str, str]:
    what, _, path = str(error).replace("`", "").partition(" - at ")
    what = what.replace(" | null", "")
    return what[:1].lower() + what[1:], path.removeprefix("$").removeprefix(".")


def _culprit(value: Any, kind: Any, path: str) -> str | None:
    """The first key of the map before the path's first `[...]` whose member alone fails in the same place; the map keeps only that one."""
    place = _follow(value, path.partition(ANY_KEY)[0])
    if not isinstance(place, dict):
        return None
    members = dict(place)
    for key, member in members.items():
        place.clear()
        place[key] = member
        try:
            msgspec.convert(value, type=kind)
        except msgspec.ValidationError:
            return str(key)
    return None


def _follow(value: Any, path: str) -> Any:
    """What lies at `path`; behind a key that was found, its map has only that member."""
    for name, index in _STEP.findall(path):
        value = next(iter(value.values())) if index.startswith("\0") else value[int(index) if index else name]
    return value
