"""Copies the files of COPY and ADD into the root of a stage, through descriptors only.

A directory over a directory is merged, and takes the source's owner and mode; files replace files; neither replaces the other
kind. Owner and mode come from `--chown` and `--chmod`, else root's (for a context) or the source's own. Times are the sources', or in
a reproducible build one fixed time, so that the same files make the same layer wherever and whenever they are copied.
"""

import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from corten.build.files.change_detector import ChangeDetector, ContextChanged
from corten.build.files.chmod import ModeChange
from corten.build.files.tree import GONE, Tree
from corten.build.files.upperdir import UpperDirWriter
from corten.errors import Invalid
from corten.kernel.inode import Inode
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2
from corten.store.copytree import copy_content

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What copied files get: `owner` None keeps the source's, `mode` None too; `time` is ns since the epoch, None keeps."""

    owner: tuple[int, int] | None = (0, 0)
    chown: bool = False  # the owner was asked for
    mode: ModeChange | None = None
    time: int | None = None

    def put(self, fd: int, found: os.stat_result) -> None:
        """On an open file or directory."""
        os.fchown(fd, *(self.owner or (found.st_uid, found.st_gid)))
        mode = stat.S_IMODE(found.st_mode)
        os.fchmod(fd, self.mode.apply(mode, is_directory=stat.S_ISDIR(found.st_mode)) if self.mode else mode)
        os.utime(fd, ns=self._times(found))

    def put_on_made(self, folder: int, name: str, found: os.stat_result) -> None:
        """On a link or special file that was made just now."""
        with Inode(name, folder, stat.S_IFMT(found.st_mode)) as made:
            made.chown(*(self.owner or (found.st_uid, found.st_gid)))
            if not stat.S_ISLNK(found.st_mode):
                made.chmod(stat.S_IMODE(found.st_mode))
            made.utime(*self._times(found))

    def _times(self, found: os.stat_result) -> tuple[int, int]:
        return (found.st_mtime_ns, found.st_mtime_ns) if self.time is None else (self.time, self.time)


@dataclass(slots=True)
class Copier:
    """Copies from `source` into the directory tree at `target` (an fd). `keep` is asked for each source path. Hard links stay such.

    With a `detector`, of a local context, every copy is compared with its digest: ContextChanged is raised where they differ.
    """

    source: Tree
    target: int
    stamp: Stamp
    keep: Callable[[str], bool] = lambda path: True
    links: dict[tuple[int, int], str] = field(default_factory=dict)  # where a file of several names was copied to
    upper_writer: UpperDirWriter | None = None  # takes files that need no copy, or a better one
    detector: ChangeDetector | None = None

    def copy(self, path: str, destination: str, *, into: bool) -> None:
        """A file to `destination` (below it when `into` or when it is a directory), a directory's contents into `destination`."""
        try:
            self._copy(path, destination, into=into)
        except OSError as error:
            if self.detector is not None and error.errno in GONE:
                raise ContextChanged(self.detector.copy_once, path) from error
            raise

    def _copy(self, named: str, destination: str, *, into: bool) -> None:
        fd = self.source.open(named, os.O_PATH)
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        path = self.source.resolved(named)
        if stat.S_ISDIR(found.st_mode):
            is_new = not self._is_directory(destination)
            if self.upper_writer is not None and not is_new:
                self.upper_writer.merged = path
            folder = self.directory(destination, whole=True)
            try:
                self._contents(path, folder)
                if is_new and self.stamp.time is None:
                    os.utime(folder, ns=(found.st_mtime_ns, found.st_mtime_ns))
            finally:
                os.close(folder)
            self._hold(path, found)
            return
        if into or self._is_directory(destination):
            destination = posixpath.join(destination, posixpath.basename(named))
        parent, name = posixpath.split(self._led_to(destination.rstrip("/")))
        folder = self.directory(parent)
        try:
            self._resolved_file(path, found, folder, name)
        finally:
            os.close(folder)

    def write(self, content: bytes, destination: str, mode: int = 0o644) -> None:
        """A new file with `content` (a heredoc)."""
        parent, name = posixpath.split(destination)
        folder = self.directory(parent)
        try:
            self._make_room(folder, name, is_directory=False)
            fd = os.open(name, _CREATE, 0o600, dir_fd=folder)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(fd, mode)
                self.stamp.put(fd, os.fstat(fd))
                if self.stamp.owner is not None:
                    os.fchown(fd, *self.stamp.owner)
        finally:
            os.close(folder)

    def hold_source(self, path: str) -> None:
        """The file `path` has been used in another way than by a copy, and must be what its digest saw. Raises ContextChanged."""
        read = self.source.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._hold_file(self.source.resolved(path), read)
        finally:
            os.close(read)

    def directory(self, path: str, *, whole: bool = False) -> int:
        """The directory `path` in the target, made (0755, with the stamp's owner) as far as it is missing. The caller closes it.

        `whole`: a directory is to be copied there, which an error then says.
        """
        clean = posixpath.normpath("/" + path).lstrip("/")
        try:
            return openat2(self.target, clean or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
        except NotADirectoryError:
            if whole:
                raise Invalid(f"cannot copy to non-directory: /{clean}", reason="copy-onto-file") from None
            raise Invalid(f"mkdir {self._first_file(clean)}: not a directory", reason="copy-target") from None
        except FileNotFoundError:
            parent, name = posixpath.split(clean)
        above = self.directory(parent)
        try:
            try:
                os.mkdir(name, 0o755, dir_fd=above)
            except FileExistsError:  # a link that leads nowhere
                os.unlink(name, dir_fd=above)
                os.mkdir(name, 0o755, dir_fd=above)
            fd = os.open(name, _DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
        mode = self.stamp.mode if whole else None
        os.fchmod(fd, mode.apply(0o755, is_directory=True) if mode else 0o755)
        os.fchown(fd, *(self.stamp.owner or (0, 0)))
        if self.stamp.time is not None:
            os.utime(fd, ns=(self.stamp.time, self.stamp.time))
        return fd

    def _first_file(self, path: str) -> str:
        """The first part of `path` that is there and no directory."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            if not self._is_directory(part):
                return f"/{part}"
        return f"/{path}"

    def _led_to(self, path: str) -> str:
        """Where a link at `path` leads, within the target; `path` itself when it is none or leads nowhere."""
        clean = posixpath.normpath("/" + path).lstrip("/")
        try:
            fd = openat2(self.target, clean or ".", os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
        except OSError:
            return path
        try:
            root = os.readlink(f"/proc/self/fd/{self.target}")
            return "/" + os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), root)
        finally:
            os.close(fd)

    def _is_directory(self, path: str) -> bool:
        clean = posixpath.normpath("/" + path).lstrip("/")
        try:
            os.close(openat2(self.target, clean or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT))
        except OSError:
            return False
        return True

    def _contents(self, path: str, folder: int) -> None:
        source = self.source.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in sorted(os.listdir(source)):
                self._entry(source, name, posixpath.join(path, name), folder)
        finally:
            os.close(source)

    def _entry(self, source: int, name: str, path: str, folder: int) -> None:
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        ignored = self.source.ignores(path) or not self.keep(path)
        if stat.S_ISDIR(found.st_mode):
            self._subdirectory(source, name, path, folder, ignored=ignored)
        elif ignored:
            return
        elif stat.S_ISREG(found.st_mode):
            if self.upper_writer is not None and self._is_grafted(self.upper_writer, path, found, folder):
                return
            self._file(os.open(name, _FILE, dir_fd=source), path, folder, name)
        else:
            self._special(source, name, found, folder)
            self._hold(path, found)

    def _hold(self, path: str, found: os.stat_result) -> None:
        if self.detector is not None and self.keep(path) and not self.source.ignores(path):
            self.detector.verify(path, found)

    def _hold_file(self, path: str, read: int, write: int | None = None) -> None:
        if self.detector is not None and self.keep(path) and not self.source.ignores(path):
            self.detector.verify_file(path, read, write)

    def _is_grafted(self, upper_writer: UpperDirWriter, path: str, found: os.stat_result, folder: int) -> bool:
        parent, name = posixpath.split(path)
        if not upper_writer.accepts(name, found) or _is_there(folder, name):
            return False
        if not upper_writer.has_directory(parent):
            now = os.fstat(folder)
            os.utime(folder, ns=(now.st_atime_ns, now.st_mtime_ns))  # overlayfs makes it in the upper directory
            upper_writer.add_directory(parent, self._shown(folder, ""))
        upper_writer.add_file(parent, name, found.st_size)
        return True

    def _subdirectory(self, source: int, name: str, path: str, folder: int, *, ignored: bool) -> None:
        """An ignored directory is made only when something below it is taken back."""
        inner = os.open(name, _DIRECTORY, dir_fd=source)
        try:
            found = os.fstat(inner)
            if ignored and not self._anything_kept(inner, path):
                return
            if self._make_room(folder, name, is_directory=True):
                os.mkdir(name, 0o700, dir_fd=folder)
            outer = os.open(name, _DIRECTORY, dir_fd=folder)
            try:
                for child in sorted(os.listdir(inner)):
                    self._entry(inner, child, posixpath.join(path, child), outer)
                self._copy_xattrs(inner, outer)
                self.stamp.put(outer, found)
            finally:
                os.close(outer)
            self._hold(path, found)
        finally:
            os.close(inner)

    def _anything_kept(self, folder: int, path: str) -> bool:
        if self.source.rules and self.source.rules.prunes(path):
            return False
        for child in os.listdir(folder):
            below = posixpath.join(path, child)
            if not self.source.ignores(below) and self.keep(below):
                return True
            if stat.S_ISDIR(os.stat(child, dir_fd=folder, follow_symlinks=False).st_mode):
                inner = os.open(child, _DIRECTORY, dir_fd=folder)
                try:
                    if self._anything_kept(inner, below):
                        return True
                finally:
                    os.close(inner)
        return False

    def _resolved_file(self, path: str, found: os.stat_result, folder: int, name: str) -> None:
        """The file that a source names."""
        if stat.S_ISREG(found.st_mode):
            self._file(self.source.open(path, os.O_RDONLY | os.O_NONBLOCK), path, folder, name)
            return
        parent, source_name = posixpath.split(path)
        source = self.source.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            now = os.stat(source_name, dir_fd=source, follow_symlinks=False)
            self._special(source, source_name, now, folder, name)
            self._hold(path, now)
        finally:
            os.close(source)

    def _file(self, read: int, path: str, folder: int, name: str) -> None:
        """Takes over `read`."""
        try:
            found = os.fstat(read)
            self._make_room(folder, name, is_directory=False)
            if found.st_nlink > 1 and self._linked(found, folder, name):
                self._hold_file(path, read)
                return
            write = os.open(name, _CREATE, 0o600, dir_fd=folder)
            try:
                copy_content(read, write)
                self._copy_xattrs(read, write)
                self.stamp.put(write, found)
                self._hold_file(path, read, write)
            finally:
                os.close(write)
        finally:
            os.close(read)

    def _linked(self, found: os.stat_result, folder: int, name: str) -> bool:
        """A second name of a file that this copier has brought already; a first one is noted."""
        known = self.links.setdefault((found.st_dev, found.st_ino), here := self._shown(folder, name))
        if known == here:
            return False
        parent, first = posixpath.split(known.lstrip("/"))
        above = openat2(self.target, parent or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
        try:
            os.link(first, name, src_dir_fd=above, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # something else of the same step took its place
            self.links[found.st_dev, found.st_ino] = here
            return False
        finally:
            os.close(above)
        return True

    def _special(self, source: int, name: str, found: os.stat_result, folder: int, new_name: str = "") -> None:
        target = new_name or name
        if stat.S_ISSOCK(found.st_mode):
            return
        self._make_room(folder, target, is_directory=False)
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), target, dir_fd=folder)
        else:
            os.mknod(target, found.st_mode, found.st_rdev, dir_fd=folder)
        self.stamp.put_on_made(folder, target, found)

    def _make_room(self, folder: int, name: str, *, is_directory: bool) -> bool:
        """Removes what a new entry replaces; False when a directory is there already and is to be merged."""
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(there.st_mode):
            if is_directory:
                return False
            raise Invalid(f"cannot replace to directory {self._shown(folder, name)} with file", reason="copy-onto-directory")
        if is_directory:
            raise Invalid(f"cannot copy to non-directory: {self._shown(folder, name)}", reason="copy-onto-file")
        os.unlink(name, dir_fd=folder)
        return True

    def _copy_xattrs(self, source: int, target: int) -> None:
        """None of a build context: they belong to the machine that it comes from."""
        for name in os.listxattr(source) if self.source.local is None else ():
            if not name.startswith(("trusted.overlay.", "user.overlay.", "security.selinux")):
                os.setxattr(target, name, os.getxattr(source, name))

    def _shown(self, folder: int, name: str) -> str:
        root, above = (os.readlink(f"/proc/self/fd/{fd}") for fd in (self.target, folder))
        return posixpath.join("/", os.path.relpath(above, root) if above != root else "", name)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
