"""Go's file modes, as fsutil sends them, and the kernel's."""

import stat
from typing import Final

GO_DIRECTORY: Final = 1 << 31
GO_SYMLINK: Final = 1 << 27
GO_DEVICE: Final = 1 << 26
GO_PIPE: Final = 1 << 25
GO_SOCKET: Final = 1 << 24
GO_SETUID: Final = 1 << 23
GO_SETGID: Final = 1 << 22
GO_CHAR: Final = 1 << 21
GO_STICKY: Final = 1 << 20
GO_IRREGULAR: Final = 1 << 19
_BITS: Final = ((GO_SETUID, stat.S_ISUID), (GO_SETGID, stat.S_ISGID), (GO_STICKY, stat.S_ISVTX))
_KINDS: Final = (
    (stat.S_IFDIR, GO_DIRECTORY),
    (stat.S_IFLNK, GO_SYMLINK),
    (stat.S_IFIFO, GO_PIPE),
    (stat.S_IFSOCK, GO_SOCKET),
    (stat.S_IFBLK, GO_DEVICE),
    (stat.S_IFCHR, GO_DEVICE | GO_CHAR),
)
KIND: Final = GO_DIRECTORY | GO_SYMLINK | GO_DEVICE | GO_PIPE | GO_SOCKET | GO_CHAR | GO_IRREGULAR


def permissions(go_mode: int) -> int:
    """The kernel's permission bits, with setuid, setgid and sticky."""
    return (go_mode & 0o777) | sum(bit for go_bit, bit in _BITS if go_mode & go_bit)


def go_mode(mode: int) -> int:
    kind = next((go for kernel, go in _KINDS if stat.S_IFMT(mode) == kernel), 0)
    return (mode & 0o777) | kind | sum(go_bit for go_bit, bit in _BITS if mode & bit)
