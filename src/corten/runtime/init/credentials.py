"""Who the process is: user, groups, capabilities, HOME."""

import errno
import os
from typing import Any, NamedTuple

from corten.errors import EngineError
from corten.kernel import caps, process

_PASSWD_LIMIT = 1 << 20


class Credentials(NamedTuple):
    """Capability sets are bit masks; names that neither we nor this kernel know are in `unknown`."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int
    bounding: int
    effective: int
    permitted: int
    inheritable: int
    ambient: int
    no_new_privs: bool
    unknown: tuple[str, ...] = ()


def parse_credentials(process_spec: dict[str, Any]) -> Credentials:
    user, sets = process_spec.get("user") or {}, process_spec.get("capabilities") or {}
    names = {name for kind in sets.values() for name in kind or ()}
    masks = {kind: caps.capability_mask(n for n in sets.get(kind) or () if n in caps.CAPS) for kind in _SETS}
    umask = user.get("umask")
    return Credentials(
        uid=user.get("uid", 0),
        gid=user.get("gid", 0),
        groups=tuple(user.get("additionalGids") or ()),
        umask=0o022 if umask is None else umask,
        bounding=masks["bounding"],
        effective=masks["effective"],
        permitted=masks["permitted"],
        inheritable=masks["inheritable"],
        ambient=masks["ambient"],
        no_new_privs=bool(process_spec.get("noNewPrivileges")),
        unknown=tuple(sorted(names - caps.CAPS.keys())),
    )


_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def own_stdio(uid: int) -> None:
    """Give 0, 1 and 2 to the user, so that it can open /dev/stdout again. The null device and what refuses stay as they are."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if status.st_uid == uid or status.st_rdev == os.makedev(1, 3):
            continue
        try:
            os.fchown(fd, uid, -1)
        except OSError as e:
            if e.errno not in (errno.EINVAL, errno.EPERM, errno.EROFS):
                raise


def become_user(who: Credentials) -> None:
    """Take the user's ids but keep the capabilities that are still needed (`drop_capabilities` takes them)."""
    caps.drop_bounding(who.bounding)
    process.prctl(process.PR_SET_KEEPCAPS, 1)
    permitted = caps.get_capabilities()[1]
    _set_groups(who.groups)
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    process.prctl(process.PR_SET_KEEPCAPS, 0)
    # A change of user cleared the effective set. Look for files with the user's own rights, but stay able to install seccomp.
    caps.capset(permitted & (who.effective | _LATE), permitted, 0)


# CAP_SYS_ADMIN installs a filter without no_new_privs, CAP_SETPCAP changes sets; neither opens files.
_LATE = caps.capability_mask(("CAP_SYS_ADMIN", "CAP_SETPCAP"))


def _set_groups(groups: tuple[int, ...]) -> None:
    try:
        os.setgroups(groups)
    except PermissionError:
        with open("/proc/self/setgroups", "rb") as f:
            if f.read().strip() != b"deny" or groups:
                raise


def drop_capabilities(who: Credentials) -> None:
    """The final sets. What this process does not have (a limited host, a user namespace) cannot be granted and is left out."""
    _, permitted, _ = caps.get_capabilities()
    granted = permitted & who.permitted
    caps.capset(granted & who.effective, granted, permitted & who.inheritable)
    caps.set_ambient(granted & who.inheritable & who.ambient)


def home_directory(uid: int) -> str:
    """The user's home by the container's /etc/passwd; "/" where it says nothing. Called inside the root."""
    try:
        fd = os.open("/etc/passwd", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "/"
    try:
        lines = os.read(fd, _PASSWD_LIMIT).split(b"\n")
    except OSError:
        return "/"
    finally:
        os.close(fd)
    wanted = str(uid).encode()
    for line in lines:
        fields = line.split(b":")
        if len(fields) > 5 and fields[2] == wanted:
            return os.fsdecode(fields[5]) or "/"
    return "/"


def enter_directory(path: str) -> None:
    """chdir, and certainty that we are inside: a path through a descriptor of the host (CVE-2024-21626) has no name here."""
    try:
        os.chdir(path)
    except OSError as e:
        text = (e.strerror or "").lower()
        raise EngineError(f'chdir to cwd ("{path}") set in config.json failed: {text}', reason="bad-cwd") from e
    try:
        os.getcwd()
    except FileNotFoundError:
        raise EngineError(f'cwd ("{path}") is outside of the container', reason="bad-cwd") from None
