"""Local files as a tar stream, piece by piece. Owners, modes, times, links and device nodes go along; sockets are left out."""

import os
import stat
import tarfile
from collections.abc import Callable, Iterator

BLOCK = 512
PIECE = 1 << 20
Keep = Callable[[str, bool], bool]
"""Whether a path below the root goes in, given whether it is a folder; False for a folder leaves out all below it."""


def pack(source: str, name: str, *, keep: Keep | None = None, follow: bool = False) -> Iterator[bytes]:
    """The file or folder `source` under the name `name` ("." for a folder's content), followed by the end of the archive.

    `follow`: a link named as `source` itself is packed as what it points to. Raises OSError.
    """
    links: dict[tuple[int, int], str] = {}
    root = os.path.realpath(source) if follow else source
    yield from _entry(root, name, links)
    if os.path.isdir(root) and not os.path.islink(root):
        yield from _below(root, name, "", links, keep)
    yield b"\0" * (2 * BLOCK)


def _below(root: str, name: str, inside: str, links: dict[tuple[int, int], str], keep: Keep | None) -> Iterator[bytes]:
    """Entries of a folder in order of their names, depth first."""
    with os.scandir(os.path.join(root, inside)) as found:
        entries = sorted(found, key=lambda e: e.name)
    for entry in entries:
        path = f"{inside}/{entry.name}" if inside else entry.name
        folder = entry.is_dir(follow_symlinks=False)
        if keep is not None and not keep(path, folder):
            continue
        yield from _entry(entry.path, f"{name}/{path}", links)
        if folder:
            yield from _below(root, name, path, links, keep)


def _entry(path: str, name: str, links: dict[tuple[int, int], str]) -> Iterator[bytes]:
    status = os.lstat(path)
    if stat.S_ISSOCK(status.st_mode):
        return
    info = _described(path, name, status)
    if stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1 and (first := links.setdefault((status.st_dev, status.st_ino), name)) != name:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
            yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            return
        yield from _content(path, info)
        return
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _described(path: str, name: str, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif stat.S_ISFIFO(status.st_mode):
        info.type = tarfile.FIFOTYPE
    else:
        info.type = tarfile.CHRTYPE if stat.S_ISCHR(status.st_mode) else tarfile.BLKTYPE
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _content(path: str, info: tarfile.TarInfo) -> Iterator[bytes]:
    """Header and bytes. The size is the one at opening; a file that shrinks meanwhile is filled up with zeros."""
    with open(path, "rb", buffering=0) as file:
        info.size = os.fstat(file.fileno()).st_size
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        missing = info.size
        while missing and (piece := file.read(min(missing, PIECE))):
            missing -= len(piece)
            yield piece
    yield b"\0" * (missing + -info.size % BLOCK)
