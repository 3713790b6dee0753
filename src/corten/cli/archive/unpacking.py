"""A container's files onto this machine. The archive is hostile: nothing is written outside the destination, no link is followed.

Every folder on the way is opened by descriptor with O_NOFOLLOW, so that a link which the archive (or somebody beside us) puts in a
folder's place makes an error and no way out. Device nodes are not made.
"""

import os
import stat
import tarfile
from collections.abc import Iterable
from contextlib import ExitStack

from corten.cli.errors import Failure
from corten.kernel.inode import Inode

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE = 1 << 20


class PieceReader:
    """A file-like object over pieces of bytes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self.received = 0

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self.received += len(piece)
            self._rest += piece
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken


class Unpacker:
    """Writes entries below `folder`. The archive's first name is replaced by `root` ("" puts its content right into `folder`), or
    with `whole` all names stay as they are."""

    def __init__(self, folder: str, root: str, *, owners: bool, whole: bool = False) -> None:
        self._folder = folder
        self._root = root
        self._owners = owners
        self._whole = whole
        self._old_root: str | None = None

    def unpack(self, source: PieceReader) -> None:
        """Raises Failure for an archive that is broken or would leave the folder, OSError for what the file system refuses."""
        top = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        times: list[tuple[list[str], tarfile.TarInfo]] = []
        try:
            with tarfile.open(fileobj=source, mode="r|") as archive:  # type: ignore[call-overload]
                for info in archive:
                    parts = self._renamed(info.name)
                    if parts:
                        self._write(top, parts, info, archive)
                    if info.isdir():
                        times.append((parts, info))
            for parts, info in reversed(times):
                self._finish_folder(top, parts, info)
        except tarfile.TarError as error:
            raise Failure(f"broken archive: {error}") from None
        finally:
            os.close(top)

    def _renamed(self, name: str) -> list[str]:
        parts = [p for p in name.split("/") if p not in {"", "."}]
        if ".." in parts:
            raise Failure(f"refused: the archive's entry {name!r} leaves the destination")
        if self._whole:
            return parts
        if name.startswith("./") or name == ".":
            return [*([self._root] if self._root else []), *parts]
        if self._old_root is None:
            self._old_root = parts[0] if parts else ""
        rest = parts[1:] if parts[:1] == [self._old_root] else parts
        return [*([self._root] if self._root else []), *rest]

    def _write(self, top: int, parts: list[str], info: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        with ExitStack() as stack:
            parent = self._opened(top, parts[:-1], stack)
            name = parts[-1]
            if info.isdir():
                _make_folder(parent, name)
                return
            _clear(parent, name)
            if info.issym():
                os.symlink(info.linkname, name, dir_fd=parent)
                self._describe(parent, name, info, stat.S_IFLNK)
            elif info.islnk():
                target = self._renamed(info.linkname)
                os.link(target[-1], name, src_dir_fd=self._opened(top, target[:-1], stack), dst_dir_fd=parent, follow_symlinks=False)
            elif info.isreg():
                self._write_file(parent, name, info, archive)
            elif info.isfifo():
                os.mkfifo(name, info.mode & 0o777, dir_fd=parent)
                self._describe(parent, name, info, stat.S_IFIFO)

    def _describe(self, parent: int, name: str, info: tarfile.TarInfo, kind: int) -> None:
        """A link's or pipe's owner and time."""
        with Inode(name, parent, kind) as made:
            if self._owners:
                made.chown(info.uid, info.gid)
            made.utime(time := int(info.mtime * 1_000_000_000), time)

    def _write_file(self, parent: int, name: str, info: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        source = archive.extractfile(info)
        with open(fd, "wb", buffering=0) as file:
            while source is not None and (piece := source.read(PIECE)):
                file.write(piece)
            if self._owners:
                os.fchown(fd, info.uid, info.gid)  # before the mode, whose setuid bits it takes away
            os.fchmod(fd, info.mode & 0o7777)
            os.utime(fd, (info.mtime, info.mtime))

    def _finish_folder(self, top: int, parts: list[str], info: tarfile.TarInfo) -> None:
        """Mode and time, once nothing more is put into it. The destination itself keeps its own."""
        if not parts:
            return
        with ExitStack() as stack:
            fd = self._opened(top, parts, stack)
            os.fchmod(fd, info.mode & 0o7777)
            if self._owners:
                os.fchown(fd, info.uid, info.gid)
            os.utime(fd, (info.mtime, info.mtime))

    def _opened(self, top: int, parts: list[str], stack: ExitStack) -> int:
        """The folder of that path, made where it is missing."""
        fd = top
        for part in parts:
            try:
                fd = os.open(part, FOLDER, dir_fd=fd)
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=fd)
                fd = os.open(part, FOLDER, dir_fd=fd)
            except NotADirectoryError:
                raise Failure(f"refused: {'/'.join(parts)} leads through something that is no folder") from None
            stack.callback(os.close, fd)
        return fd


def _make_folder(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        os.close(os.open(name, FOLDER, dir_fd=parent))


def _clear(parent: int, name: str) -> None:
    """Makes room for an entry that is no folder."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        raise Failure(f"cannot overwrite directory {name!r} with non-directory") from None
