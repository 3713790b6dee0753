"""Writing an archive's members into a directory, so that no member reaches anything outside it.

Parents are opened by `Directories` (openat2 inside the root); the last component is only ever created (O_EXCL, mkdirat, …), never
followed; what is in the way is removed first. In a layer (`Whiteouts.OVERLAY`) whiteouts become overlayfs's own while unpacking.
Directories get owner, mode and times at the end, since every file made inside changes them.
"""

import errno
import os
import stat
from typing import Final, Protocol

from corten.errors import EngineError, Invalid
from corten.kernel.inode import Inode
from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from corten.oci.whiteout import META_PREFIX, OPAQUE, PREFIX, whiteout_target
from corten.store.files import disk_error
from corten.store.tar.contents import Content, describe, read_umask, set_xattrs, write_payload
from corten.store.tar.header import BLOCK_DEVICE, CHAR, DIRECTORY, FIFO, FILE, HARD_LINK, SYMLINK, Entry, settable_time
from corten.store.tar.places import Directories, clean_name, is_whiteout, set_opaque
from corten.store.tar.reader import TarReader

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL_BITS: Final = 0o7000
_NODE_TYPES: Final = {CHAR: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}


class Replaced(Protocol):
    """Told before a file that may hold a payload is replaced; may move it away."""

    def __call__(self, directory: int, name: bytes, path: bytes) -> None: ...


def _remove_replaced(directory: int, name: bytes, path: bytes) -> None:
    os.unlink(name, dir_fd=directory)


class Unpacker:
    """Adds members to the directory `root_fd` (borrowed). `finish` completes the directories; `close` always.

    Members are owned and dated as the archive says. Raises OSError and Invalid: see `unpack_archive` for errors in the user's words.
    """

    def __init__(self, root_fd: int, *, overlay: bool, on_replace: Replaced = _remove_replaced) -> None:
        """`overlay`: members named `.wh.…` are whiteouts. `on_replace` gets the files that a later member replaces."""
        self._root = root_fd
        self._overlay = overlay
        self._on_replace = on_replace
        self._directories = Directories(root_fd)
        self._pending: dict[bytes, Entry] = {}
        self._links: set[bytes] = set()
        self._owner = (os.geteuid(), os.getegid())
        self._chmod_bits = _SPECIAL_BITS | read_umask()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of files and links made (Docker's size of a layer); what was replaced counts, too."""
        return self._size

    @property
    def implied(self) -> int:
        """Directories made because a member's path needs them."""
        return self._directories.made

    def add(self, entry: Entry, reader: TarReader) -> Content | None:
        """Make `entry`. Returns where its payload lies; None when it is left in the reader or there is none."""
        path = clean_name(entry.name)
        if entry.type == DIRECTORY:
            self._add_directory(path, entry)
            return None
        parent, _, name = path.rpartition(b"/")
        if not name:
            raise Invalid("the archive's root is no directory", reason="bad-tar")
        if self._overlay and name.startswith(PREFIX):
            self._add_whiteout(self._directories.enter(parent)[0], name)
            return None
        if entry.type == FILE:
            return self._add_file(parent, name, entry, reader)
        self._add_other(parent, name, entry)
        return None

    def finish(self) -> None:
        """Give directories their owner, mode, attributes and times, inner ones first."""
        for path, entry in reversed(self._pending.items()):
            fd = openat2(self._root, os.fsdecode(path) or ".", os.O_RDONLY | os.O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
            try:
                os.fchown(fd, entry.uid, entry.gid)
                os.fchmod(fd, entry.mode)
                describe(fd, entry)
            finally:
                os.close(fd)
        self._pending.clear()

    def close(self) -> None:
        self._directories.forget()

    def _add_file(self, parent: bytes, name: bytes, entry: Entry, reader: TarReader) -> Content | None:
        directory, real = self._directories.enter(parent)
        mode = entry.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=directory)
        except FileExistsError:
            directory, _ = self._make_room(real, name)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=directory)
        try:
            crc = write_payload(fd, entry, reader)
            if (entry.uid, entry.gid) != self._owner:
                os.fchown(fd, entry.uid, entry.gid)
            if mode & self._chmod_bits:
                os.fchmod(fd, mode)
            describe(fd, entry)
        finally:
            os.close(fd)
        self._size += entry.length
        return Content(real + b"/" + name if real else name, entry.size, crc, entry.sparse) if entry.size else None

    def _add_directory(self, path: bytes, entry: Entry) -> None:
        parent, _, name = path.rpartition(b"/")
        if not name:
            self._pending[b""] = entry
            return
        directory, real = self._directories.enter(parent)
        try:
            os.mkdir(name, 0o755, dir_fd=directory)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                directory, was_whiteout = self._make_room(real, name)
                os.mkdir(name, 0o755, dir_fd=directory)
                if was_whiteout:
                    set_opaque(self._directories.find(real + b"/" + name if real else name)[0])
        self._pending[real + b"/" + name if real else name] = entry

    def _add_whiteout(self, directory: int, name: bytes) -> None:
        if name == OPAQUE:
            set_opaque(directory)
            return
        target = whiteout_target(name)
        if target in (None, b".", b".."):
            if name.startswith(META_PREFIX):
                return
            raise Invalid(f"whiteout {os.fsdecode(name)!r} hides nothing that can be named", reason="bad-tar")
        assert target is not None
        try:
            os.mknod(target, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)
        except FileExistsError:
            # This layer has a new `target`, which stays; a directory must not be merged with what lower layers have there.
            if stat.S_ISDIR(os.stat(target, dir_fd=directory, follow_symlinks=False).st_mode):
                fd = openat2(directory, os.fsdecode(target), os.O_PATH | os.O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
                try:
                    set_opaque(fd)
                finally:
                    os.close(fd)

    def _add_other(self, parent: bytes, name: bytes, entry: Entry) -> None:
        directory, real = self._directories.enter(parent)
        path = real + b"/" + name if real else name
        try:
            self._make(directory, name, path, entry)
        except FileExistsError:
            if entry.type == HARD_LINK and self._real_path(clean_name(entry.link)) == path:
                return
            directory, _ = self._make_room(real, name)
            self._make(directory, name, path, entry)
        if entry.type == HARD_LINK:
            self._links.add(path)
            return
        if entry.type == SYMLINK:
            self._size += len(entry.link)
        with Inode(name, directory, _NODE_TYPES.get(entry.type, stat.S_IFLNK)) as made:
            if (entry.uid, entry.gid) != self._owner:
                made.chown(entry.uid, entry.gid)
            if entry.type != SYMLINK and entry.mode & self._chmod_bits:
                made.chmod(entry.mode)
            if entry.xattrs:
                set_xattrs(made.path, entry.xattrs)
            time = settable_time(entry.mtime_ns)
            made.utime(time, time)

    def _make(self, directory: int, name: bytes, path: bytes, entry: Entry) -> None:
        if entry.type == SYMLINK:
            os.symlink(entry.link, name, dir_fd=directory)
        elif entry.type == HARD_LINK:
            parent, _, target = clean_name(entry.link).rpartition(b"/")
            os.link(target, name, src_dir_fd=self._directories.find(parent)[0], dst_dir_fd=directory, follow_symlinks=False)
        elif entry.type in _NODE_TYPES:
            os.mknod(name, _NODE_TYPES[entry.type] | (entry.mode & 0o777), os.makedev(entry.major, entry.minor), dir_fd=directory)
        else:
            raise Invalid(f"unhandled tar header type {entry.type}", reason="bad-tar")

    def _real_path(self, path: bytes) -> bytes:
        parent, _, name = path.rpartition(b"/")
        real = self._directories.find(parent)[1]
        return real + b"/" + name if real else name

    def _make_room(self, parent: bytes, name: bytes) -> tuple[int, bool]:
        """Remove what is called `name` in `parent`; the directory's fd again, and whether a whiteout was removed."""
        path = parent + b"/" + name if parent else name
        directory, _ = self._directories.find(parent)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            self._remove_directory(path)
        else:
            self._remove_file(directory, name, path, found)
        self._directories.forget()
        return self._directories.find(parent)[0], is_whiteout(found)

    def _remove_directory(self, path: bytes) -> None:
        emptied = []
        pending = [path]
        while pending:
            current = pending.pop()
            emptied.append(current)
            self._pending.pop(current, None)
            directory, _ = self._directories.find(current)
            for text in os.listdir(f"/proc/self/fd/{directory}"):
                name = os.fsencode(text)
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    pending.append(current + b"/" + name)
                else:
                    self._remove_file(directory, name, current + b"/" + name, found)
        for current in reversed(emptied):
            parent, _, name = current.rpartition(b"/")
            os.rmdir(name, dir_fd=self._directories.find(parent)[0])

    def _remove_file(self, directory: int, name: bytes, path: bytes, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode) and found.st_size and path not in self._links:
            self._on_replace(directory, name, path)
        else:
            os.unlink(name, dir_fd=directory)
        self._links.discard(path)


def archive_error(error: OSError, entry: Entry | None) -> EngineError:
    """What to tell the user when the member could not be made: the disk's fault or the archive's."""
    doing = "unpacking the archive" if entry is None else f'unpacking "{os.fsdecode(entry.name)}"'
    if error.errno in _DISK_ERRORS:
        return disk_error(error, doing)
    link = f' (link to "{os.fsdecode(entry.link)}")' if entry is not None and entry.link else ""
    return Invalid(f"{doing}{link}: {os.strerror(error.errno or 0).lower()}", reason="bad-tar")


_DISK_ERRORS: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
