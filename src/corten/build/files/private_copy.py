"""A private copy of a local context: what a process may see, and what nobody else changes.

It is as a client would have sent it: without what is left out, all of it root's, with modes and times. What goes while it is copied
is passed over.
"""

import os
import posixpath
import stat

from corten.build.files.tree import GONE, Tree
from corten.kernel.inode import Inode
from corten.store.copytree import copy_content

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(tree: Tree, folder: str) -> int:
    """Copies `tree` into the empty directory `folder`: a descriptor of it, which is the caller's. Blocks. Raises OSError."""
    root = os.open(folder, _DIRECTORY)
    try:
        _Copying(tree, root).run()
    except BaseException:
        os.close(root)
        raise
    return root


class _Copying:
    def __init__(self, tree: Tree, root: int) -> None:
        self._tree = tree
        self._root = root
        self._links: dict[tuple[int, int], str] = {}
        self._folders: list[tuple[str, os.stat_result]] = []

    def run(self) -> None:
        for path, found in self._tree.walk(""):
            try:
                self._entry(path, found)
            except OSError as error:
                if error.errno not in GONE:
                    raise
        for path, found in reversed(self._folders):  # last, since what is put into them changes their times
            self._stamp(path, found)

    def _entry(self, path: str, found: os.stat_result) -> None:
        if stat.S_ISDIR(found.st_mode):
            os.makedirs(self._inside(path), 0o755, exist_ok=True)
            self._folders.append((path, found))
            return
        folder, name = posixpath.split(path)
        source = self._tree.open(folder, _DIRECTORY)
        try:
            os.makedirs(self._inside(folder), 0o755, exist_ok=True)
            if stat.S_ISREG(found.st_mode):
                self._file(source, name, path)
            elif stat.S_ISLNK(found.st_mode):
                os.symlink(os.readlink(name, dir_fd=source), self._inside(path))
                self._stamp(path, found)
            elif not stat.S_ISSOCK(found.st_mode):
                os.mknod(self._inside(path), found.st_mode, found.st_rdev)
                self._stamp(path, found)
        finally:
            os.close(source)

    def _file(self, source: int, name: str, path: str) -> None:
        read = os.open(name, _FILE, dir_fd=source)
        try:
            found = os.fstat(read)
            if not stat.S_ISREG(found.st_mode):
                return
            first = self._links.setdefault((found.st_dev, found.st_ino), path) if found.st_nlink > 1 else path
            if first != path:
                os.link(self._inside(first), self._inside(path), follow_symlinks=False)
                return
            write = os.open(self._inside(path), _CREATE, 0o600)
            try:
                copy_content(read, write)
            finally:
                os.close(write)
            self._stamp(path, found)
        finally:
            os.close(read)

    def _stamp(self, path: str, found: os.stat_result) -> None:
        with Inode(path or ".", self._root, stat.S_IFMT(found.st_mode)) as made:
            if not stat.S_ISLNK(found.st_mode):
                made.chmod(stat.S_IMODE(found.st_mode))
            made.utime(found.st_mtime_ns, found.st_mtime_ns)

    def _inside(self, path: str) -> str:
        """The copy holds no links but those made here, none of which is on the way: `path` is one of a walk, parents first."""
        return f"/proc/self/fd/{self._root}/{path}"
