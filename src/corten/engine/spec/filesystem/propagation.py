"""Mount propagation of binds: what the source's own mount must allow, and what the container's root must be for it to work."""

from collections.abc import Callable, Iterable, Sequence

from corten.errors import EngineError

_MODES = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_SHARED, _SLAVE = ("shared", "rshared"), ("slave", "rslave")


def propagation_of(options: Sequence[str]) -> str:
    """The propagation among mount options, "" if none."""
    return next((option for option in options if option in _MODES), "")


def check_propagation(mode: str, source: str, mountinfo: Callable[[], str]) -> None:
    """Raises EngineError, as Docker words it, when a shared or slave bind is asked of a mount that is neither."""
    if mode not in (*_SHARED, *_SLAVE):
        return
    point, optional = source_mount(source, mountinfo())
    is_shared = any(field.startswith("shared:") for field in optional)
    is_slave = any(field.startswith("master:") for field in optional)
    if mode in _SHARED and not is_shared:
        raise EngineError(f"path {source} is mounted on {point} but it is not a shared mount", reason="not-shared")
    if mode in _SLAVE and not (is_shared or is_slave):
        raise EngineError(f"path {source} is mounted on {point} but it is not a shared or slave mount", reason="not-shared")


def root_propagation(modes: Iterable[str]) -> str:
    """`linux.rootfsPropagation` that lets the given binds propagate; "" = the default (private)."""
    found = ""
    for mode in modes:
        if mode in _SHARED:
            return "shared"
        if mode in _SLAVE:
            found = "rslave"
    return found


def source_mount(path: str, mountinfo: str) -> tuple[str, list[str]]:
    """(mount point, optional fields) of the mount on which `path` lies: the longest match, later lines over earlier."""
    best, optional = "", [""]
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
        is_parent = path == point or path.startswith(point.rstrip("/") + "/")
        if is_parent and len(point) >= len(best):
            best, optional = point, fields[6 : fields.index("-")]
    return best, optional
