"""A writable snapshot becomes a layer: its upper directory is renamed into place, and walked once to learn its diff id.

    snapshots/KEY/upper ──rename──▶ tmp/work/X/diff ──walk──▶ sha256 of its tar, split data ──commit──▶ layers/HEX/

Nothing is copied and no tar is written. The tar is the one that this module would make on any machine from the same files: names
sorted, whole seconds, whiteouts in tar's form.
"""

import os
import stat
from typing import Final

from corten.errors import Invalid
from corten.ids import DiffId
from corten.kernel.inode import Inode
from corten.oci.whiteout import OPAQUE, OPAQUE_VALUE, OPAQUE_XATTR, is_private_xattr, whiteout_name
from corten.store.files import disk_error
from corten.store.layers import Layer, Layers
from corten.store.layertar.bytecode import CACHE, set_back
from corten.store.layertar.hashing import Hashing
from corten.store.records.leases import Lease
from corten.store.snapshots import Snapshots
from corten.store.tar.contents import Content
from corten.store.tar.header import BLOCK_DEVICE, CHAR, DIRECTORY, FIFO, FILE, HARD_LINK, SYMLINK, Entry
from corten.store.tar.places import is_whiteout
from corten.store.tar.split import SplitWriter
from corten.store.tar.writer import END, header, padding

_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BYTE_CODE: Final = os.fsencode(CACHE)
_TYPES: Final = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


def seal_snapshot(snapshots: Snapshots, layers: Layers, key: str, lease: Lease, *, newest: int | None = None) -> Layer:
    """The layer of what was written in snapshot `key`, which is gone afterwards. It must not be mounted any more. Blocks.

    `newest` (ns since the epoch): files changed later get that time, so that the same work makes the same layer on any day.
    Raises Unavailable when the disk is full, Invalid for a file that says to be larger than the disk: its holes would be hashed for hours.
    """
    try:
        with layers.workplace() as work:
            diff = os.path.join(work, "diff")
            os.rmdir(diff)
            os.rename(snapshots.upper(key), diff)
            layer = _sealed(work, newest)
            return layers.commit(work, layer, lease)
    except OSError as error:
        raise disk_error(error, "keeping a layer") from error
    finally:
        snapshots.remove(key)


def _sealed(work: str, newest: int | None) -> Layer:
    root = os.open(os.path.join(work, "diff"), _DIRECTORY_FLAGS)
    try:
        with open(os.path.join(work, "split"), "wb", buffering=0) as file, Hashing() as hashing:
            disk = os.fstatvfs(root)
            tar = _Tar(hashing, SplitWriter(file.write), newest, disk.f_blocks * disk.f_frsize)
            tar.directory(root, b"")
            return tar.finish()
    finally:
        os.close(root)


class _Tar:
    """The tar of a directory as it would be, hashed and split, never written."""

    def __init__(self, hashing: Hashing, split: SplitWriter, newest: int | None, largest: int) -> None:
        self._hashing = hashing
        self._split = split
        self._newest = newest
        self._largest = largest
        self._links: dict[tuple[int, int], bytes] = {}
        self._waiting = b""  # padding, to be noted with what follows
        self._size = self._entries = 0

    def directory(self, fd: int, path: bytes) -> None:
        """The directory's own member, an opaque mark if it has one, then what is in it, sorted. Times are set last: on the way out."""
        found = os.fstat(fd)
        entry = self._entry(path or b".", found, DIRECTORY)
        entry.xattrs = _xattrs(fd)
        if path:
            self._add(entry)
        if _is_opaque(fd):
            self._add(_empty(path + b"/" + OPAQUE if path else OPAQUE))
        names = sorted(os.fsencode(n) for n in os.listdir(fd))
        if self._newest is not None and _BYTE_CODE in names:
            set_back(fd, self._newest)
        for name in names:
            self._member(fd, name, path + b"/" + name if path else name)
        if self._is_later(found):
            os.utime(fd, ns=(self._time(found), self._time(found)))

    def finish(self) -> Layer:
        self._raw(END)
        self._split.finish()
        return Layer(DiffId(f"sha256:{self._hashing.hexdigest()}"), self._size, self._hashing.size, self._entries)

    def _member(self, folder: int, name: bytes, path: bytes) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            fd = os.open(name, _DIRECTORY_FLAGS, dir_fd=folder)
            try:
                self.directory(fd, path)
            finally:
                os.close(fd)
            return
        if kind == stat.S_IFCHR and is_whiteout(found):
            parent, slash, last = path.rpartition(b"/")
            self._add(_empty(parent + slash + whiteout_name(last)))
            return
        if kind == stat.S_IFSOCK:
            os.unlink(name, dir_fd=folder)  # a tar cannot hold one, and it is dead without its process
            return
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._links:
            entry = self._entry(path, found, HARD_LINK)
            entry.link = self._links[key]
            self._add(entry)
            return
        if found.st_nlink > 1:
            self._links[key] = path
        self._other(folder, name, path, found)

    def _other(self, folder: int, name: bytes, path: bytes, found: os.stat_result) -> None:
        kind = _TYPES[stat.S_IFMT(found.st_mode)]
        entry = self._entry(path, found, kind)
        if kind == FILE:
            self._file(folder, name, entry, found)
            return
        if kind == SYMLINK:
            entry.link = os.readlink(name, dir_fd=folder)
            self._size += len(entry.link)
        elif kind in (CHAR, BLOCK_DEVICE):
            entry.major, entry.minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        self._add(entry)
        if self._is_later(found):
            with Inode(name, folder, stat.S_IFMT(found.st_mode)) as made:
                made.utime(self._time(found), self._time(found))

    def _file(self, folder: int, name: bytes, entry: Entry, found: os.stat_result) -> None:
        if found.st_size > self._largest:
            text = f"/{os.fsdecode(entry.name)} is {found.st_size} bytes long, which is more than the disk has"
            raise Invalid(
                text, reason="file-too-large", hint="it is mostly holes: remove it in the same step, or make it when the container runs"
            )
        fd = os.open(name, _FILE_FLAGS, dir_fd=folder)
        try:
            entry.xattrs = _xattrs(fd)
            entry.size = entry.length = found.st_size
            raw = header(entry)
            self._hashing.add(raw)
            crc = self._hashing.read(fd, found.st_size)
            if self._is_later(found):
                os.utime(fd, ns=(self._time(found), self._time(found)))
        finally:
            os.close(fd)
        self._entries += 1
        self._size += found.st_size
        raw = self._waiting + raw
        if not found.st_size:
            self._split.add_raw([raw])
            self._waiting = b""
            return
        self._split.add_content([raw], Content(entry.name, found.st_size, crc, None))
        self._waiting = padding(found.st_size)
        self._hashing.add(self._waiting)

    def _entry(self, path: bytes, found: os.stat_result, kind: int) -> Entry:
        entry = Entry(path, kind, stat.S_IMODE(found.st_mode))
        entry.uid, entry.gid = found.st_uid, found.st_gid
        entry.mtime_ns = self._time(found)
        return entry

    def _is_later(self, found: os.stat_result) -> bool:
        return self._newest is not None and found.st_mtime_ns > self._newest

    def _time(self, found: os.stat_result) -> int:
        return self._newest if self._newest is not None and found.st_mtime_ns > self._newest else found.st_mtime_ns

    def _add(self, entry: Entry) -> None:
        self._entries += 1
        self._raw(header(entry))

    def _raw(self, data: bytes) -> None:
        self._hashing.add(data)
        self._split.add_raw([self._waiting + data])
        self._waiting = b""


def _empty(path: bytes) -> Entry:
    """A whiteout's member: no owner, no time."""
    return Entry(path, FILE, 0o600)


def _xattrs(fd: int) -> dict[bytes, bytes] | None:
    names = [os.fsencode(n) for n in os.listxattr(fd)]
    return {n: os.getxattr(fd, n) for n in names if not is_private_xattr(n) and not n.startswith(b"security.selinux")} or None


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, OPAQUE_XATTR) == OPAQUE_VALUE
    except OSError:
        return False
