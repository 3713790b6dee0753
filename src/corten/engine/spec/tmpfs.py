"""Options of `--tmpfs` and `--mount type=tmpfs`: checked, and later ones over earlier ones."""

from collections.abc import Sequence

from corten.engine.values.container import MountRequest
from corten.errors import Invalid

_DEFAULTS = ("noexec", "nosuid", "nodev", "rprivate")
_FLAG_GROUPS = (
    ("ro", "rw"),
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("exec", "noexec"),
    ("sync", "async"),
    ("dirsync",),
    ("remount",),
    ("mand", "nomand"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
    ("bind", "rbind", "unbindable", "runbindable", "private", "rprivate", "shared", "rshared", "slave", "rslave"),
)
_GROUP_OF = {flag: group for group in _FLAG_GROUPS for flag in group}
_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


def tmpfs_options(text: str) -> list[str]:
    """Mount options of a tmpfs for what the user wrote (`size=64m,exec`). Raises Invalid, in Docker's words, for an unknown one."""
    return merge_options([*_DEFAULTS, *(text.split(",") if text else ())])


def merge_options(options: Sequence[str]) -> list[str]:
    """Of options that contradict each other the last stays, in its place."""
    found: list[str] = []
    seen: set[object] = set()
    for option in reversed(options):
        if option == "defaults":
            continue
        name, equals, _ = option.partition("=")
        key: object = _GROUP_OF.get(option)
        if key is None:
            if not equals or name not in _VALUES:
                raise Invalid(f'invalid tmpfs option "{name}"', reason="bad-tmpfs-option")
            key = name
        if key not in seen:
            seen.add(key)
            found.append(option)
    return found[::-1]


def request_text(request: MountRequest) -> str:
    """A `--mount type=tmpfs` in the form of `--tmpfs`. Raises Invalid for options that such a mount does not take."""
    words = ["ro"] if request.read_only else []
    if request.tmpfs_mode:
        words.append(f"mode={request.tmpfs_mode:o}")
    if request.tmpfs_size:
        words.append(f"size={_with_suffix(request.tmpfs_size)}")
    for option in request.tmpfs_options:
        if not 1 <= len(option) <= 2:
            raise Invalid("invalid option array length", reason="bad-tmpfs-option")
        if option[0] not in ("exec", "noexec"):
            raise Invalid(f"invalid option: {option[0]}", reason="bad-tmpfs-option")
        words.append("=".join(option))
    return ",".join(words)


def _with_suffix(size: int) -> str:
    for suffix, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{suffix}"
    return str(size)
