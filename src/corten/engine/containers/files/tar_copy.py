"""Both directions of `docker cp`, in a thread that has the container's root open."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from corten.engine.containers.files.paths import ResolvedPath, located
from corten.errors import EngineError, Invalid
from corten.kernel.openat2 import open_in_root
from corten.store.streams.compression import decompressed, sniffed
from corten.store.streams.threads import Chunk
from corten.store.tar.header import DIRECTORY, Entry
from corten.store.tar.pack import Packer
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ExtractOptions:
    """How an archive is put in. `owner`: uid and gid of everything, None = as the archive says."""

    keeps_kinds: bool = False
    owner: tuple[int, int] | None = None


def pack_place(place: ResolvedPath, emit: Callable[[bytes], None]) -> None:
    """The file or directory as a tar whose first member is called as the path ended."""
    packer = Packer(emit)
    label = os.fsencode(place.label)
    if place.is_directory:
        fd = os.open(place.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=place.folder)
        try:
            packer.directory(fd, label, b"/" if label == b"/" else None)
        finally:
            os.close(fd)
    else:
        packer.member(place.folder, os.fsencode(place.name), label)
    packer.finish()


@contextmanager
def extraction_point(root: int, path: str) -> Iterator[int]:
    """The directory that `path` leads to, links followed inside the root. Raises OSError, Invalid when it is none."""
    with located(root, path):
        pass  # says what is not there; a link is followed only then
    try:
        fd = open_in_root(root, path.lstrip("/") or ".", _DIRECTORY)
    except NotADirectoryError:
        raise Invalid("extraction point is not a directory", reason="not-a-directory") from None
    try:
        yield fd
    finally:
        os.close(fd)


def check_writable(root: int, folder: int) -> None:
    """Raises Invalid, in Docker's words, when nothing may be written into `folder`."""
    if not os.fstatvfs(folder).f_flag & os.ST_RDONLY:
        return
    is_root = os.fstat(folder).st_dev == os.fstat(root).st_dev
    text = "container rootfs is marked read-only" if is_root else "mounted volume is marked read-only"
    raise Invalid(text, reason="read-only")


def unpack_into(folder: int, path: str, incoming: ExtractOptions, chunks: Iterator[Chunk]) -> None:
    """An archive, plain or compressed, into the directory `folder`. No member reaches anything outside it. Raises EngineError."""
    compression, chunks = sniffed(chunks)
    reader = TarReader(decompressed(chunks, compression))
    unpacker = Unpacker(folder, overlay=False)
    entry: Entry | None = None
    try:
        while (entry := reader.next_entry()) is not None:
            if incoming.owner is not None:
                entry.uid, entry.gid = incoming.owner
            if incoming.keeps_kinds:
                _check_kind(folder, path, entry)
            unpacker.add(entry, reader)
        unpacker.finish()
        for _ in reader.drain():
            pass
    except OSError as error:
        raise _unpack_error(error, entry) from error
    finally:
        unpacker.close()


def _check_kind(folder: int, path: str, entry: Entry) -> None:
    """A directory does not take the place of something else, nor the other way round."""
    name = os.fsdecode(entry.name).strip("/")
    try:
        fd = open_in_root(folder, name or ".", os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)
    if is_directory and entry.type != DIRECTORY:
        raise Invalid(f'cannot overwrite directory "{name}" with non-directory "{path}"', reason="other-kind")
    if not is_directory and entry.type == DIRECTORY:
        raise Invalid(f'cannot overwrite non-directory "{name}" with directory "{path}"', reason="other-kind")


def _unpack_error(error: OSError, entry: Entry | None) -> EngineError:
    if error.errno == errno.EROFS:
        return Invalid("mounted volume is marked read-only", reason="read-only")
    return archive_error(error, entry)
