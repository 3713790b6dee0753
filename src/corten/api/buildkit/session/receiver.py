"""fsutil's receiver: a folder brought to what a client tells. Only files that differ from what is there travel.

```
    client ─▶ STAT, STAT, …, STAT (empty)       the tree, parents first
    client ◀─ REQ id …                          what is not here as it is there
    client ─▶ DATA id, …, DATA id (empty) …     files, several at a time
    client ◀─ FIN ─▶ FIN
```
No network here: `take` gets packets and gives the answers. The folder is nobody else's; no path of a client leads out of it.
"""

import os
import posixpath
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from corten.api.buildkit.messages.session import DATA, FAILED, FINISHED, REQUEST, STAT, Packet, Stat
from corten.api.buildkit.session.modes import GO_DEVICE, GO_DIRECTORY, GO_IRREGULAR, GO_PIPE, GO_SOCKET, GO_SYMLINK, KIND, permissions
from corten.errors import Invalid
from corten.kernel.inode import Inode
from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from corten.store.files import disk_error

MOST_ENTRIES: Final = 4_000_000
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST: Final = 4096


@dataclass(slots=True)
class _RequestedFile:
    """A file that the client has been asked for."""

    stat: Stat
    file: int = -1
    size: int = 0


@dataclass(slots=True)
class Receiver:
    """Fills the folder `root`. Blocks; belongs to one thread at a time. `close` it.

    `received`: bytes of content that came. `is_complete`: all is there, the peer may be told so.
    """

    root: int
    received: int = 0
    is_complete: bool = False
    _count: int = 0
    _listed: bool = False
    _last: tuple[str, ...] = ()
    _kinds: dict[str, int] = field(default_factory=dict)
    _folders: dict[str, int] = field(default_factory=dict)
    _requested: dict[int, _RequestedFile] = field(default_factory=dict)

    def take(self, packets: Iterable[Packet]) -> list[Packet]:
        """The answers. Raises Invalid for what no well-behaved client sends, EngineError for a full disk."""
        answers: list[Packet] = []
        try:
            for packet in packets:
                answers += self._one(packet)
        except OSError as error:
            raise disk_error(error, "receiving the build context") from error
        if self._listed and not self._requested and not self.is_complete:
            self.is_complete = True
            self._stamp_folders()
            answers.append(Packet(FINISHED))
        return answers

    def close(self) -> None:
        for requested in self._requested.values():
            if requested.file >= 0:
                os.close(requested.file)
        self._requested.clear()

    def _one(self, packet: Packet) -> list[Packet]:
        match packet.type:
            case _ if packet.type == STAT and packet.stat is not None:
                return self._entry(packet.stat)
            case _ if packet.type == STAT:
                self._listed = True
                self._remove_others()
            case _ if packet.type == DATA:
                self._data(packet)
            case _ if packet.type == FAILED:
                raise Invalid(f"error from sender: {packet.data.decode(errors='replace')[:1000]}", reason="context-sender")
            case _ if packet.type == FINISHED:
                if not self.is_complete:
                    raise Invalid("the client ended the transfer of a build context before its end", reason="context-sender")
            case _:
                raise Invalid(f"packet {packet.type} of a build context is of no known kind", reason="context-sender")
        return []

    def _entry(self, found: Stat) -> list[Packet]:
        number, self._count = self._count, self._count + 1
        if self._listed or self._count > MOST_ENTRIES:
            raise Invalid(f"a build context with more than {MOST_ENTRIES} entries, or one told twice", reason="context-size")
        self._check(found)
        folder, name = posixpath.split(found.path)
        parent = self._opened(folder)
        try:
            return self._place(parent, name, found, number)
        finally:
            os.close(parent)

    def _check(self, found: Stat) -> None:
        """Clean, relative, after what came before, below a folder that was told."""
        path = found.path
        parts = tuple(path.split("/"))
        if not path or len(path) > _LONGEST or "\0" in path or {"", ".", ".."} & set(parts):
            raise Invalid(f"invalid path {path[:200]!r} in a build context", reason="context-path")
        if parts <= self._last:
            raise Invalid(f"{path!r} of a build context is told twice or out of order", reason="context-path")
        if len(parts) > 1 and self._kinds.get("/".join(parts[:-1])) != stat.S_IFDIR:
            raise Invalid(f"{path!r} of a build context has no parent directory", reason="context-path")
        if found.mode & (GO_DEVICE | GO_IRREGULAR):
            raise Invalid(f'the build context holds a device: "{path}"', reason="context-device")
        self._last = parts

    def _opened(self, folder: str) -> int:
        return openat2(self.root, folder or ".", _DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

    def _place(self, parent: int, name: str, found: Stat, number: int) -> list[Packet]:
        kind = found.mode & KIND
        if kind == GO_SOCKET:
            return []
        here = _lstat(parent, name)
        if kind == GO_DIRECTORY:
            self._kinds[found.path] = stat.S_IFDIR
            self._folders[found.path] = found.mod_time
            _make_directory(parent, name, here, permissions(found.mode))
            return []
        if kind in (GO_SYMLINK, GO_PIPE):
            self._kinds[found.path] = stat.S_IFLNK
            _make_special(parent, name, here, found, is_link=kind == GO_SYMLINK)
            return []
        if kind:
            raise Invalid(f"{found.path!r} of a build context has mode {found.mode:o}", reason="context-path")
        self._kinds[found.path] = stat.S_IFREG
        return self._regular(parent, name, here, found, number)

    def _regular(self, parent: int, name: str, here: os.stat_result | None, found: Stat, number: int) -> list[Packet]:
        if found.linkname:
            self._link(parent, name, here, found)
            return []
        if here is not None and _is_same(here, found):
            return []
        _clear(parent, name, here)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent))
        requested = _RequestedFile(found)
        if found.size <= 0:
            self._settle(parent, name, requested)
            return []
        self._requested[number] = requested
        return [Packet(REQUEST, None, number)]

    def _link(self, parent: int, name: str, here: os.stat_result | None, found: Stat) -> None:
        target = posixpath.normpath(found.linkname).lstrip("/")
        if self._kinds.get(target) != stat.S_IFREG:
            raise Invalid(f"{found.path!r} of a build context links to {target!r}, which is not a file before it", reason="context-path")
        folder, base = posixpath.split(target)
        source = self._opened(folder)
        try:
            there = _lstat(source, base)
            if here is None or there is None or here.st_ino != there.st_ino:
                _clear(parent, name, here)
                os.link(base, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _data(self, packet: Packet) -> None:
        requested = self._requested.get(packet.id)
        if requested is None:
            raise Invalid(f"data of entry {packet.id} of a build context, which was not requested", reason="context-sender")
        if not packet.data:
            self._end(packet.id, requested)
            return
        requested.size += len(packet.data)
        self.received += len(packet.data)
        self._write(requested, packet.data)

    def _write(self, requested: _RequestedFile, data: bytes) -> None:
        if requested.file < 0:
            requested.file = openat2(
                self.root, requested.stat.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
            )
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(requested.file, rest) :]

    def _end(self, number: int, requested: _RequestedFile) -> None:
        del self._requested[number]
        if requested.file >= 0:
            os.close(requested.file)
        folder, name = posixpath.split(requested.stat.path)
        parent = self._opened(folder)
        try:
            self._settle(parent, name, requested)
        finally:
            os.close(parent)

    def _settle(self, parent: int, name: str, requested: _RequestedFile) -> None:
        """Mode and time; a file that changed while it was sent has another size, and is asked for again by the next build."""
        moment = requested.stat.mod_time if requested.size == max(0, requested.stat.size) else 0
        with Inode(name, parent, stat.S_IFREG) as made:
            made.chmod(permissions(requested.stat.mode))
            made.utime(moment, moment)

    def _stamp_folders(self) -> None:
        """Last, since what comes into a folder changes its time."""
        for path, moment in self._folders.items():
            folder, name = posixpath.split(path)
            parent = self._opened(folder)
            try:
                with Inode(name, parent, stat.S_IFDIR) as made:
                    made.utime(moment, moment)
            finally:
                os.close(parent)

    def _remove_others(self) -> None:
        """What was there and was not told."""
        for name in os.listdir(self.root):
            self._prune(self.root, name, name)

    def _prune(self, parent: int, name: str, path: str) -> None:
        kind = self._kinds.get(path)
        if kind is None:
            _clear(parent, name, _lstat(parent, name))
        elif kind == stat.S_IFDIR:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                for child in os.listdir(inner):
                    self._prune(inner, child, f"{path}/{child}")
            finally:
                os.close(inner)


def _lstat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_same(here: os.stat_result, found: Stat) -> bool:
    """As fsutil's differ: kind, mode, size and time."""
    return (
        stat.S_ISREG(here.st_mode)
        and here.st_nlink == 1
        and here.st_size == found.size
        and here.st_mtime_ns == found.mod_time
        and stat.S_IMODE(here.st_mode) == permissions(found.mode)
    )


def _make_directory(parent: int, name: str, here: os.stat_result | None, mode: int) -> None:
    if here is None or not stat.S_ISDIR(here.st_mode):
        _clear(parent, name, here)
        os.mkdir(name, 0o700, dir_fd=parent)
    with Inode(name, parent, stat.S_IFDIR) as made:
        made.chmod(mode)


def _make_special(parent: int, name: str, here: os.stat_result | None, found: Stat, *, is_link: bool) -> None:
    """A symbolic link or a pipe."""
    is_there = is_link and here is not None and stat.S_ISLNK(here.st_mode) and os.readlink(name, dir_fd=parent) == found.linkname
    if not is_there:
        _clear(parent, name, here)
    if is_link and not is_there:
        os.symlink(found.linkname, name, dir_fd=parent)
    elif not is_link:
        os.mkfifo(name, permissions(found.mode), dir_fd=parent)
    with Inode(name, parent, stat.S_IFLNK if is_link else stat.S_IFIFO) as made:
        made.utime(found.mod_time, found.mod_time)


def _clear(parent: int, name: str, here: os.stat_result | None) -> None:
    """Removes what is there, whole folders too; links are not followed."""
    if here is None:
        return
    if not stat.S_ISDIR(here.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for child in os.listdir(inner):
            _clear(inner, child, _lstat(inner, child))
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=parent)
