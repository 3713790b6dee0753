"""`--chown=USER[:GROUP]`: numbers, or names that the stage's own /etc/passwd and /etc/group know."""

import os

from corten.errors import Invalid
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2

LARGEST = 1 << 20


def resolve_owner(text: str, root: int) -> tuple[int, int]:
    """(uid, gid); a user without a group means the group of the same number or, for a name, its own group. Raises Invalid."""
    user, colon, group = text.partition(":")
    uid, own_group = _user(user, root)
    if not colon:
        return uid, own_group
    return uid, _number(group) if group.isdecimal() else _look_up(group, "etc/group", root, "group")[0]


def _user(user: str, root: int) -> tuple[int, int]:
    if user.isdecimal():
        number = _number(user)
        return number, number
    uid, rest = _look_up(user, "etc/passwd", root, "user")
    return uid, int(rest[0]) if rest and rest[0].isdecimal() else uid


def _number(text: str) -> int:
    value = int(text)
    if value > 0xFFFF_FFFE:
        raise Invalid(f"invalid user or group number {text}", reason="bad-chown")
    return value


def _look_up(name: str, path: str, root: int, kind: str) -> tuple[int, list[str]]:
    for line in _read(path, root).splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdecimal():
            return int(fields[2]), fields[3:]
    raise Invalid(f"invalid {kind} index: -1 ({kind} {name!r} is not in the image's /{path})", reason="bad-chown")


def _read(path: str, root: int) -> str:
    try:
        fd = openat2(root, path, os.O_RDONLY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
    except OSError:
        return ""
    try:
        return os.read(fd, LARGEST).decode(errors="replace")
    finally:
        os.close(fd)
