"""Where an archive's members go: cleaned names, and directories opened inside one root that nothing leads out of."""

import errno
import os
import stat
from typing import Final

from corten.errors import Invalid
from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from corten.oci.whiteout import OPAQUE_VALUE, OPAQUE_XATTR

_MAX_OPEN: Final = 128
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY


def clean_name(name: bytes) -> bytes:
    """`name` relative to the root, without `.`, `..` and doubled slashes; b"" is the root itself.

    Raises Invalid when `..` climbs above the root. A leading slash means the root, as everywhere in container land.
    """
    if name.startswith(b"./"):
        name = name[2:]
    if name.endswith(b"/"):
        name = name[:-1]
    if b"/." not in name and b"//" not in name and name[:1] not in (b"/", b".", b""):
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Invalid(f'archive member "{os.fsdecode(name)}" is outside of the archive\'s root', reason="tar-escape")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def set_opaque(directory: int) -> None:
    """Make overlayfs hide what lower layers have in `directory` (an O_PATH fd will do)."""
    os.setxattr(f"/proc/self/fd/{directory}", OPAQUE_XATTR, OPAQUE_VALUE)


class Directories:
    """Fds (O_PATH) of directories under `root_fd`, the last few kept open. Links are followed as in a chroot, never out of it.

    A returned fd is borrowed: it is good until _MAX_OPEN other directories were opened or `forget` was called.
    Paths are cleaned names; each fd comes with its path without links.
    """

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._root_path = os.readlink(f"/proc/self/fd/{root_fd}")
        self._open: dict[bytes, tuple[int, bytes]] = {}
        self.made = 0  # directories that were missing

    def enter(self, path: bytes) -> tuple[int, bytes]:
        """The directory `path`; what is missing of it is made, mode 0755."""
        try:
            return self.find(path)
        except (FileNotFoundError, NotADirectoryError):
            return self._keep(path, self._make(path))

    def find(self, path: bytes) -> tuple[int, bytes]:
        """The directory `path`. Raises OSError when there is none."""
        found = self._open.pop(path, None)
        if found is not None:
            self._open[path] = found
            return found
        return self._keep(path, self._resolve(path))

    def forget(self) -> None:
        """To be called when a directory or a link was removed: what was resolved through it is not true any more."""
        for fd, _ in self._open.values():
            os.close(fd)
        self._open.clear()

    def _keep(self, path: bytes, found: tuple[int, bytes]) -> tuple[int, bytes]:
        if len(self._open) >= _MAX_OPEN:
            os.close(self._open.pop(next(iter(self._open)))[0])
        self._open[path] = found
        return found

    def _resolve(self, path: bytes) -> tuple[int, bytes]:
        text = os.fsdecode(path) or "."
        try:
            return openat2(self._root, text, _DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), path
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        fd = openat2(self._root, text, _DIRECTORY, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        real = os.readlink(f"/proc/self/fd/{fd}")
        return fd, os.fsencode(real[len(self._root_path) + 1 :])

    def _make(self, path: bytes) -> tuple[int, bytes]:
        """Step by step from the root, making what is missing; links that are on the way already are followed."""
        fd, real = self._resolve(b"")
        for name in path.split(b"/"):
            parent, real = fd, real + b"/" + name if real else name
            try:
                fd, real = self._resolve(real)
            except (FileNotFoundError, NotADirectoryError):
                fd = _make_directory(parent, name)
                self.made += 1
            finally:
                os.close(parent)
        return fd, real


def _make_directory(parent: int, name: bytes) -> int:
    """A whiteout in the way means: what lower layers have here is gone, and this directory takes its place."""
    hidden = False
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        hidden = is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False))
        if not hidden:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o755, dir_fd=parent)
    fd = openat2(parent, os.fsdecode(name), _DIRECTORY | os.O_NOFOLLOW, 0, RESOLVE_BENEATH)
    if hidden:
        set_opaque(fd)
    return fd
