"""Files that come into a layer past overlayfs: those of a build's context.

    context/data/x ──link──▶ upper/srv/data/x

Of a context that was sent they are linked: it is thrown away when the build ends, and the bytes are neither read nor written. Overlayfs
refuses a link from outside, so it is made beside it, in its upper directory, once nothing is mounted any more. Files of a shared folder
are copied there, several at once. Only what would look the same as a plain copy goes this way: one owner, the sent mode.
"""

import itertools
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from corten.build.files.change_detector import ChangeDetector, ContextChanged
from corten.build.files.digests import side_by_side
from corten.build.files.tree import GONE, Tree
from corten.kernel.inode import Inode
from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from corten.store.copytree import copy_content

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class UpperDirWriter:
    """The files that one COPY leaves for `plant`. `time` (ns since the epoch) is what they and their directories get; None: their own."""

    source: Tree
    time: int | None
    detector: ChangeDetector | None = None  # of a shared tree, whose files are to be copied
    merged: str | None = None  # a directory of the source that went into one that was there: its time is now
    _targets: dict[str, str] = field(default_factory=dict)  # by directory of the source, the one in the target
    _names: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # and sizes

    def accepts(self, name: str, found: os.stat_result) -> bool:
        """A second name means that another layer may have the file already; compiled Python is changed where its layer is made."""
        return found.st_nlink == 1 and not name.endswith(".pyc")

    def has_directory(self, folder: str) -> bool:
        return folder in self._targets

    def add_directory(self, folder: str, target: str) -> None:
        """The source's directory `folder` goes to `target`, a path without links, which the upper directory has when `plant` is called."""
        self._targets[folder] = target

    def add_file(self, folder: str, name: str, size: int) -> None:
        self._names.setdefault(folder, []).append((name, size))

    def write(self, upper: str) -> None:
        """Blocks. The overlay of `upper` must not be mounted. Raises OSError."""
        root = os.open(upper, _FOLDER)
        try:
            if self.detector is None:
                for folder, names in self._names.items():
                    self._link(folder, [name for name, _ in names], root)
            else:
                self._copy_all(root, self.detector)
        finally:
            os.close(root)

    def _link(self, folder: str, names: list[str], root: int) -> None:
        source, to = self._opened(folder, root)
        try:
            for name in names:
                os.link(name, name, src_dir_fd=source, dst_dir_fd=to, follow_symlinks=False)
                if self.time is not None:
                    with Inode(name, to, stat.S_IFREG) as made:
                        made.utime(self.time, self.time)
            self._stamp_folder(folder, source, to)
        finally:
            os.close(source)
            os.close(to)

    def _opened(self, folder: str, root: int) -> tuple[int, int]:
        """A directory of the source, and where it goes to."""
        target = self._targets[folder].strip("/") or "."
        to = openat2(root, target, _FOLDER, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        try:
            return self.source.open(folder, _FOLDER), to
        except BaseException:
            os.close(to)
            raise

    def _copy_all(self, root: int, detector: ChangeDetector) -> None:
        def copy(files: Sequence[tuple[tuple[str, str], int]]) -> None:
            for folder, names in itertools.groupby((where for where, _ in files), lambda where: where[0]):
                source, to = self._opened(folder, root)
                try:
                    for _, name in names:
                        self._copy(source, to, name, f"{folder}/{name}" if folder else name, detector)
                finally:
                    os.close(source)
                    os.close(to)

        side_by_side(copy, [((folder, name), size) for folder, names in self._names.items() for name, size in names])
        for folder in self._names:
            source, to = self._opened(folder, root)
            try:
                self._stamp_folder(folder, source, to)
            finally:
                os.close(source)
                os.close(to)

    def _stamp_folder(self, folder: str, source: int, to: int) -> None:
        """Last, since what is put into it changes its time."""
        if self.time is not None or folder != self.merged:
            time = os.fstat(source).st_mtime_ns if self.time is None else self.time
            os.utime(to, ns=(time, time))

    def _copy(self, source: int, to: int, name: str, path: str, detector: ChangeDetector) -> None:
        try:
            read = os.open(name, _FILE, dir_fd=source)
        except OSError as error:
            if error.errno in GONE:
                raise ContextChanged(detector.copy_once, path) from error
            raise
        try:
            write = os.open(name, _CREATE, 0o600, dir_fd=to)
            try:
                copy_content(read, write)
                os.fchmod(write, stat.S_IMODE(os.fstat(read).st_mode))
                time = os.fstat(read).st_mtime_ns if self.time is None else self.time
                os.utime(write, ns=(time, time))
                detector.verify_file(path, read, write)
            finally:
                os.close(write)
        finally:
            os.close(read)
