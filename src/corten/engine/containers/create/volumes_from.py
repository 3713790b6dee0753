"""`--volumes-from`: the mount points of other containers, for a new one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from corten.engine.containers.mounts import LABEL_MODES
from corten.engine.values.container import Container, MountPoint
from corten.errors import Invalid, NotFound

Find = Callable[[str], Container]
"""A container by name or id; raises NotFound."""


def borrowed(specs: Sequence[str], find: Find) -> list[MountPoint]:
    """The mount points that `specs` (`container[:ro|rw]`) bring in; where two bring one destination the later counts.

    Raises Invalid in Docker's words.
    """
    found: dict[str, MountPoint] = {}
    for spec in specs:
        name, is_writable = _parse(spec)
        for point in _container(find, name).mounts:
            found[point.destination] = replace(point, mode="", rw=point.rw and is_writable)
    return list(found.values())


def _parse(spec: str) -> tuple[str, bool]:
    if not spec:
        raise Invalid("volumes-from specification cannot be an empty string", reason="bad-volumes-from")
    name, _, mode = spec.partition(":")
    words = mode.split(",") if mode else []
    kinds = (frozenset(("ro", "rw")), LABEL_MODES)
    is_known = all(any(word in kind for kind in kinds) for word in words)
    if not is_known or any(sum(word in kind for word in words) > 1 for kind in kinds):
        raise Invalid(f"invalid mode: {mode}", reason="bad-volumes-from", hint="container, container:ro or container:rw")
    return name, "ro" not in words


def _container(find: Find, name: str) -> Container:
    try:
        return find(name)
    except NotFound as error:
        raise Invalid(error.message, reason=error.reason) from error
