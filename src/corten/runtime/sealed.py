"""The interpreter, run from a read-only mount of itself.

A container's program may be a script whose interpreter is /proc/self/exe, or look at /proc/PID/exe while a process enters: either
way it gets hold of the file that we were started from, and as root could write to it (CVE-2019-5736). Opened through a read-only
mount it cannot be written to, whoever opens it; the mount is in no namespace, so nobody can remount it.
"""

import fcntl
import os
import sys
from typing import NoReturn

from corten.kernel.mount import (
    AT_FDCWD,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    OPEN_TREE_CLONE,
    MountAttr,
    mount_setattr,
    open_tree,
)

_SELF = "/proc/self/exe"
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def is_sealed() -> bool:
    """Whether this process' own executable is on a read-only mount, or in a sealed memory file."""
    if os.statvfs(_SELF).f_flag & os.ST_RDONLY:
        return True
    try:
        with open(_SELF, "rb") as f:
            return bool(fcntl.fcntl(f, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
    except OSError:
        return False


def ensure_sealed() -> None:
    """Returns when this process is sealed; else starts the same command again, sealed (and so never returns).

    Call it first thing in a program that makes containers: it costs a second start of the interpreter.
    """
    if not is_sealed():
        _exec_sealed(sys.orig_argv)


def open_sealed(path: str = _SELF) -> int:
    """An fd (close-on-exec) of the executable at `path` through a read-only mount, or of a sealed copy where that is not allowed.

    Execute it as /proc/self/fd/N.
    """
    try:
        fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE)
        mount_setattr(fd, "", 0, MountAttr(attr_set=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV))
    except OSError:
        return _sealed_copy(path)
    return fd


def _sealed_copy(path: str) -> int:
    copy = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(path, "rb") as source:
        while os.sendfile(copy, source.fileno(), None, 1 << 30):
            pass
    os.fchmod(copy, 0o755)
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    return copy


def _exec_sealed(argv: list[str]) -> NoReturn:
    """The interpreter finds its home by argv[0], so that stays."""
    os.execve(f"/proc/self/fd/{open_sealed()}", [sys.executable, *argv[1:]], os.environ)
    raise AssertionError("execve came back")
