"""Room kept on the store's disk for the records of what frees it: on a full disk a removal must still be able to note what it removes.

DATA_ROOT/reserve    blocks that nobody uses; given back to the disk when nothing else is left, made anew when there is room
"""

import os
from typing import Final

SIZE: Final = 4 << 20
_LEAST: Final = 512 << 10
"""With less left for its writes, the database needs the reserve."""
_PLENTY: Final = 64 << 20


class Reserve:
    """Thread-safe: whoever comes second finds nothing to do."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_held = os.path.exists(path) and os.stat(path).st_blocks * 512 >= SIZE

    def renew(self) -> None:
        """Takes the room again, if there is plenty."""
        if self._is_held or self._free() < _PLENTY:
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, SIZE)
            self._is_held = True
        except OSError:  # a file system that cannot, or somebody was faster
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def give(self) -> None:
        """Gives the room to whoever writes next, if hardly any other is left. About a microsecond when there is."""
        if self._is_held and self._free() < _LEAST:
            self._is_held = False
            os.truncate(self._path, 0)

    def _free(self) -> int:
        found = os.statvfs(os.path.dirname(self._path))
        return (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize
