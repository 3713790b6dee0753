"""Paths of a container's files as `docker cp` writes them, found inside the root.

As in Docker, `..` is worked out before links are; a link in last place is meant itself, unless a slash or `/.` follows it.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from corten.errors import EngineError, Invalid, NotFound
from corten.kernel.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, open_in_root, openat2, split_clean

_LINKS = 255


@dataclass(frozen=True, slots=True)
class PathStat:
    """`mode` is st_mode, `mtime` ns since the epoch; `target`: where a link leads, as an absolute path of the container."""

    name: str
    size: int
    mode: int
    mtime: int
    target: str


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """A file: `name` in the directory `folder` (a descriptor, borrowed). `label` is what a copy of it is called."""

    folder: int
    name: str
    label: str
    found: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.found.st_mode)


@contextmanager
def located(root: int, path: str) -> Iterator[ResolvedPath]:
    """The file that `path` means. Raises OSError."""
    clean = posixpath.normpath(f"/{path}").replace("//", "/")
    label = posixpath.basename(clean) or "/"
    if clean == "/" or path.endswith(("/", "/.")):
        folder, name = open_in_root(root, clean.lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY), "."
        label = "." if path.endswith("/.") else label
    else:
        folder, name = open_in_root(root, posixpath.dirname(clean).lstrip("/") or ".", os.O_PATH | os.O_DIRECTORY), label
    try:
        yield ResolvedPath(folder, name, label, os.stat(name, dir_fd=folder, follow_symlinks=False))
    finally:
        os.close(folder)


def stat_place(root: int, place: ResolvedPath, path: str) -> PathStat:
    found = place.found
    target = link_target(root, path) if stat.S_ISLNK(found.st_mode) else ""
    return PathStat(place.label, found.st_size, found.st_mode, found.st_mtime_ns, target)


def link_target(root: int, path: str) -> str:
    """Where a path leads with all links followed; what does not exist is taken as written. Raises Invalid for a ring of links."""
    done: list[str] = []
    left = split_clean(path)[::-1]
    links = _LINKS
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        link = _read_link(root, [*done, part])
        if link is None:
            done.append(part)
            continue
        links -= 1
        if not links:
            raise Invalid(f"evalSymlinksInScope: too many links in {path}", reason="too-many-links")
        if link.startswith("/"):
            done.clear()
        left.extend(reversed(link.split("/")))
    return "/" + "/".join(done)


def _read_link(root: int, parts: list[str]) -> str | None:
    try:
        fd = openat2(root, "/".join(parts), os.O_PATH | os.O_NOFOLLOW, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    except OSError:
        return None
    try:
        return os.readlink("", dir_fd=fd) if stat.S_ISLNK(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def path_error(error: OSError, path: str, container: str) -> EngineError:
    """What to tell the user about a path that cannot be reached."""
    if error.errno == errno.ENOENT:
        return NotFound(f"Could not find the file {path} in container {container}", reason="no-such-file")
    return Invalid(f"lstat {path}: {os.strerror(error.errno or 0).lower()}", reason="path-unreachable")
