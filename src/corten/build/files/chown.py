"""`--chown=USER[:GROUP]`: numbers, or names that the stage's own /etc/passwd and /etc/group know."""

import os
from collections.abc import Callable

from corten.errors import Invalid
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2

LARGEST = 1 << 20
Complain = Callable[[str], None]


def resolve_owner(text: str, root: int, complain: Complain = lambda text: None) -> tuple[int, int]:
    """(uid, gid); a user without a group means the group of the same number or, for a name, its own group.

    A name that the image does not know is passed to `complain`, and then means root (a group: the user's number), as in BuildKit.
    Raises Invalid for a number that is none.
    """
    user, colon, group = text.partition(":")
    uid, own_group = _user(user, root, complain)
    if not colon:
        return uid, own_group
    if group.isdecimal():
        return uid, _number(group)
    found = _look_up(group, "etc/group", root)
    if found is None:
        complain(f"group {group} is not in the image's /etc/group; the user's number takes its place")
        return uid, uid
    return uid, found[0]


def _user(user: str, root: int, complain: Complain) -> tuple[int, int]:
    if user.isdecimal():
        number = _number(user)
        return number, number
    found = _look_up(user, "etc/passwd", root)
    if found is None:
        complain(f"user {user} is not in the image's /etc/passwd; root takes its place")
        return 0, 0
    uid, rest = found
    return uid, int(rest[0]) if rest and rest[0].isdecimal() else uid


def _number(text: str) -> int:
    value = int(text)
    if value > 0xFFFF_FFFE:
        raise Invalid(f"invalid user or group number {text}", reason="bad-chown")
    return value


def _look_up(name: str, path: str, root: int) -> tuple[int, list[str]] | None:
    for line in _read(path, root).splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdecimal():
            return int(fields[2]), fields[3:]
    return None


def _read(path: str, root: int) -> str:
    try:
        fd = openat2(root, path, os.O_RDONLY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
    except OSError:
        return ""
    try:
        return os.read(fd, LARGEST).decode(errors="replace")
    finally:
        os.close(fd)
