"""Owner, mode, times and attributes of what has no descriptor for reading: links, devices, pipes.

In a directory that others can write a name may lead to something else at any moment: chmod(2), chown(2), utimensat(2) and setxattr(2)
by name would then change that. An `Inode` is opened once, without following a link, and all goes to what was opened. It uses
/proc/self/fd, which has worked on O_PATH descriptors since Linux 3.6; fchmodat2(2) with AT_EMPTY_PATH came with 6.6.
"""

import errno
import os
import stat
from types import TracebackType


class Inode:
    """What is called `name` in the directory `dir_fd`, held until the block is left.

    `kind` (S_IFLNK, S_IFIFO, ...) is what the caller has made there: OSError (ESTALE) when it is something else by now.
    """

    def __init__(self, name: str | bytes, dir_fd: int, kind: int = 0) -> None:
        self.fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        if kind and stat.S_IFMT(os.fstat(self.fd).st_mode) != kind:
            os.close(self.fd)
            raise OSError(errno.ESTALE, f"{os.strerror(errno.ESTALE)}: exchanged meanwhile", os.fsdecode(name))
        self.path = f"/proc/self/fd/{self.fd}"

    def __enter__(self) -> "Inode":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.fd)

    def chown(self, uid: int, gid: int) -> None:
        os.chown(self.path, uid, gid)

    def chmod(self, mode: int) -> None:
        """Not for links, which have no mode of their own (EOPNOTSUPP)."""
        os.chmod(self.path, mode)

    def utime(self, atime_ns: int, mtime_ns: int) -> None:
        os.utime(self.path, ns=(atime_ns, mtime_ns))
