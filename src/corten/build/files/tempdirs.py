"""Temporary directories of build steps: fetched files, mounted views, and secrets, which are never on a disk.

    <root>/XXXXXXXX               files and mounts
    /dev/shm/corten-HASH/XXXXXX   secrets and sockets; HASH is of the root, so that engines on one machine do not meet

Each step clears its own. What an engine that was killed has left is cleared by its next start.
"""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from typing import Final

from corten.kernel.mount import umount2

MEMORY: Final = "/dev/shm"
MNT_DETACH: Final = 2


class TempDirs:
    """`root` is a directory on the disk of the layers, all of it ours. Folders are the caller's to remove."""

    def __init__(self, root: str, memory: str = MEMORY) -> None:
        self._root = root
        self._secrets = os.path.join(memory, f"corten-{hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]}")

    def directory(self) -> str:
        return _made_in(self._root)

    def in_memory(self) -> str:
        return _made_in(self._secrets)

    def clear(self) -> None:
        """Removes all of it, mounts included. Only before anybody uses it; blocks."""
        if os.path.isdir(self._root):
            for target in _mounts_below(os.path.realpath(self._root)):
                with suppress(OSError):
                    umount2(target, MNT_DETACH)
        for directory in (self._root, self._secrets):
            if not os.path.islink(directory):
                shutil.rmtree(directory, ignore_errors=True)


def _made_in(root: str) -> str:
    """A fresh folder. Raises OSError, also where `root` is somebody else's: /dev/shm is everybody's."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    found = os.lstat(root)
    if found.st_uid != os.geteuid() or os.path.islink(root):
        raise PermissionError(f"{root} is not the engine's own")
    return tempfile.mkdtemp(dir=root)


def _mounts_below(root: str) -> list[str]:
    """Innermost first."""
    with open("/proc/self/mountinfo", "rb") as file:
        targets = [line.split()[4].decode("unicode_escape") for line in file]
    return sorted((t for t in targets if t.startswith(f"{root}/")), reverse=True)
