"""A stored layer examined file by file against what its tar said: what is missing, changed or too much, by name.

split data ─▶ records ─▶ the tar as it would be rebuilt, holes filled ─▶ sha256 = diff id?
                 │                        └─▶ tar reader ─▶ Expectations ─▶ compared with the directory
                 └─▶ CRC-32 of every content
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from corten.errors import EngineError, Invalid
from corten.ids import DiffId
from corten.oci.whiteout import OPAQUE_VALUE, OPAQUE_XATTR, is_private_xattr
from corten.store.layertar.expected import Expectations, Expected
from corten.store.layertar.rebuild import Contents, split_records
from corten.store.tar.header import BLOCK_DEVICE, CHAR, DIRECTORY, FIFO, FILE, SYMLINK, Entry, settable_time
from corten.store.tar.places import is_whiteout
from corten.store.tar.reader import TarReader

Kind = Literal["missing", "changed", "extra", "record"]
_TYPES: Final = {
    FILE: stat.S_IFREG,
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    CHAR: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    FIFO: stat.S_IFIFO,
}
_SECOND: Final = 1_000_000_000
_HOLE: Final = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Fault:
    """`record`: what describes the layer is damaged, not a file of it. `path` begins with a slash; `what` says what is wrong."""

    kind: Kind
    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Examined:
    """`files` and `size`: how many files were compared, and how many bytes read."""

    faults: tuple[Fault, ...]
    files: int
    size: int


def examine_layer(directory: str, diff_id: DiffId) -> Examined:
    """Reads everything of the layer kept in `directory`; changes nothing. Blocks. A file that vanishes meanwhile counts as missing."""
    examination = _Examination(directory)
    try:
        return examination.run(diff_id)
    except OSError as error:
        return Examined((Fault("record", "/", f"{error.filename or 'its directory'}: {os.strerror(error.errno or 0).lower()}"),), 0, 0)


class _Examination:
    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._faults: dict[bytes, Fault] = {}
        self._expected = Expectations()
        self._size = 0

    def run(self, diff_id: DiffId) -> Examined:
        files = 0
        try:
            digest = self._read()
        except (EngineError, Invalid) as error:
            return Examined((*self._faults.values(), Fault("record", "/", error.message)), files, self._size)
        root = os.open(os.path.join(self._directory, "diff"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            files = self._compare(root)
        finally:
            os.close(root)
        if digest != diff_id and not self._faults:
            self._note(b"", "record", "the digest of its tar is not the one under which it is stored")
        return Examined(tuple(sorted(self._faults.values(), key=lambda f: f.path)), files, self._size)

    def _note(self, path: bytes, kind: Kind, what: str) -> None:
        self._faults.setdefault(path, Fault(kind, "/" + os.fsdecode(path), what))

    def _read(self) -> str:
        """Notes contents that are not what was unpacked, and fills the expectations; the digest of the tar as it is now."""
        found = hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for piece in self._tar():
                found.update(piece)
                yield piece

        chunks = hashed()
        reader = TarReader(chunks)
        while (entry := reader.next_entry()) is not None:
            self._expected.add(entry)
        for _ in reader.drain():
            pass
        return f"sha256:{found.hexdigest()}"

    def _tar(self) -> Iterator[bytes]:
        contents = Contents(self._directory)
        try:
            for record in split_records(self._directory):
                yield record.raw
                if record.content is None:
                    continue
                left = record.content.size
                try:
                    for piece in contents.read(record.content):
                        left -= len(piece)
                        self._size += len(piece)
                        yield piece
                except EngineError as error:
                    self._note_content(record.content.path, error)
                    while left:
                        piece = _HOLE[:left]
                        left -= len(piece)
                        yield piece
        finally:
            contents.close()

    def _note_content(self, path: bytes, error: EngineError) -> None:
        missing = "no such file" in error.message
        self._note(path, "missing" if missing else "changed", "it is not there" if missing else error.message.rpartition('": ')[2])

    def _compare(self, root: int) -> int:
        folder = os.fsencode(os.readlink(f"/proc/self/fd/{root}"))
        expected = dict(self._expected.items())
        for path, what in expected.items():
            try:
                found = os.lstat(folder + b"/" + path)
            except (FileNotFoundError, NotADirectoryError):
                self._note(path, "missing", "it is not there")
                continue
            if (difference := _difference(folder, path, what, found)) is not None:
                self._note(path, "changed", difference)
        for path in _unexpected(folder, expected):
            self._note(path, "extra", "the layer did not bring it")
        return len(expected) - 1


def _unexpected(folder: bytes, expected: dict[bytes, Expected]) -> Iterator[bytes]:
    pending = [b""]
    while pending:
        inner = pending.pop()
        with os.scandir(folder + b"/" + inner) as entries:
            for entry in entries:
                path = inner + b"/" + entry.name if inner else entry.name
                if path not in expected:
                    yield path
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(path)


def _difference(folder: bytes, path: bytes, expected: Expected, found: os.stat_result) -> str | None:
    """What is wrong with the file, in words; None when it is as it must be."""
    if expected.whiteout:
        return None if is_whiteout(found) else "it is no whiteout any more"
    full = folder + b"/" + path
    if expected.is_directory and expected.opaque and not _is_opaque(full):
        return "it does not hide lower layers any more"
    entry = expected.entry
    if entry is None:
        return None if stat.S_ISDIR(found.st_mode) else "it is no directory any more"
    if stat.S_IFMT(found.st_mode) != _TYPES.get(entry.type):
        return "it is another kind of file"
    if expected.same_as is not None and not _is_same_file(folder + b"/" + expected.same_as, found):
        return f"it is not the same file as /{os.fsdecode(expected.same_as)} any more"
    return _attributes(full, entry, found)


def _attributes(path: bytes, entry: Entry, found: os.stat_result) -> str | None:
    if (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
        return f"it belongs to {found.st_uid}:{found.st_gid}, not to {entry.uid}:{entry.gid}"
    if entry.type == SYMLINK:
        target = os.readlink(path)
        return None if target == entry.link else f'it points to "{os.fsdecode(target)}", not to "{os.fsdecode(entry.link)}"'
    if stat.S_IMODE(found.st_mode) != entry.mode:
        return f"its mode is {stat.S_IMODE(found.st_mode):04o}, not {entry.mode:04o}"
    if entry.type in (CHAR, BLOCK_DEVICE) and found.st_rdev != os.makedev(entry.major, entry.minor):
        return f"it is device {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}, not {entry.major}:{entry.minor}"
    if entry.type == FILE and found.st_size != entry.length:
        return f"it has {found.st_size} bytes, not {entry.length}"
    if entry.type != DIRECTORY and found.st_mtime_ns // _SECOND != settable_time(entry.mtime_ns) // _SECOND:
        return "its time changed"
    return _extended(path, entry)


def _extended(path: bytes, entry: Entry) -> str | None:
    for name, value in (entry.xattrs or {}).items():
        if is_private_xattr(name):
            continue
        try:
            same = os.getxattr(path, name, follow_symlinks=False) == value
        except OSError as error:
            same = error.errno == errno.ENOTSUP
        if not same:
            return f"its attribute {os.fsdecode(name)} changed"
    return None


def _is_opaque(path: bytes) -> bool:
    try:
        return os.getxattr(path, OPAQUE_XATTR) == OPAQUE_VALUE
    except OSError:
        return False


def _is_same_file(path: bytes, found: os.stat_result) -> bool:
    try:
        other = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino)
