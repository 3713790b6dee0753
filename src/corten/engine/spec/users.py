"""Who a container's process is: `--user` looked up in the container's own passwd and group texts, by Docker's rules.

`user[:group]`, each a name or a number. A number need not be listed; a name must. Supplementary groups come from the group file
only where no group was named. Pure: the texts are given.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from corten.errors import EngineError, Invalid

_MAX_ID = (1 << 31) - 1
_HINT = "name a user that the image's /etc/passwd lists, or use numbers: --user 1000:1000"


class ResolvedUser(NamedTuple):
    """`groups` are the supplementary ones, the primary first, as Docker passes them to the runtime."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class _Passwd(NamedTuple):
    name: str
    uid: int
    gid: int
    home: str


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve_user(user: str, passwd: str, group: str, extra_groups: Sequence[str] = ()) -> ResolvedUser:
    """`user` as written ("" = root). Raises EngineError when a name is not listed, Invalid when a number is out of range."""
    user_part, _, group_part = user.partition(":")
    groups = _parse_groups(group)
    entry = _find_user(user_part, _parse_passwd(passwd))
    if entry is None:
        entry = _Passwd("", _in_range(_number(user_part, f"unable to find user {user_part}: no matching entries in passwd file")), 0, "/")
    supplementary: Iterable[int] = ()
    gid = entry.gid
    if group_part:
        gid = _find_group(group_part, groups)
    elif entry.name:
        supplementary = (found.gid for found in groups if entry.name in found.members)
    extra = (_find_group(name, groups) for name in extra_groups)
    return ResolvedUser(entry.uid, gid, (gid, *supplementary, *extra), entry.home or "/")


def _find_user(name: str, entries: Iterable[_Passwd]) -> _Passwd | None:
    """The first entry of that name or number; "" asks for number 0, which needs no entry."""
    wanted = int(name or "0") if (name or "0").isdecimal() else None
    for entry in entries:
        if (entry.uid == wanted) if wanted is not None else (entry.name == name):
            return entry
    return _Passwd("", 0, 0, "/") if not name else None


def _find_group(name: str, groups: Iterable[_Group]) -> int:
    wanted = int(name) if name.isdecimal() else None
    for entry in groups:
        if (entry.gid == wanted) if wanted is not None else (entry.name == name):
            return entry.gid
    return _in_range(_number(name, f"unable to find group {name}: no matching entries in group file"))


def _number(text: str, otherwise: str) -> int:
    if text.startswith("-") and text[1:].isdecimal():
        return _in_range(int(text))
    if not text.isdecimal():
        raise EngineError(otherwise, reason="unknown-user", hint=_HINT)
    return int(text)


def _in_range(number: int) -> int:
    if not 0 <= number <= _MAX_ID:
        raise Invalid(f"uids and gids must be in range 0-{_MAX_ID}", reason="id-out-of-range")
    return number


def _fields(text: str, count: int) -> Iterable[list[str]]:
    for line in text.splitlines():
        fields = line.strip().split(":")
        if fields[0]:
            yield fields + [""] * (count - len(fields))


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _parse_passwd(text: str) -> list[_Passwd]:
    return [_Passwd(f[0], _integer(f[2]), _integer(f[3]), f[5]) for f in _fields(text, 7)]


def _parse_groups(text: str) -> list[_Group]:
    return [_Group(f[0], _integer(f[2]), tuple(filter(None, f[3].split(",")))) for f in _fields(text, 4)]
