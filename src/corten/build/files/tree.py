"""A directory tree that COPY and ADD read from: a build context, a stage, an image. Wildcards, links within the root, content digests.

A tree is a descriptor of its root; nothing outside it is ever reached (openat2 RESOLVE_IN_ROOT). Paths are relative, without
leading slash; "" is the root.
"""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from corten.errors import NotFound
from corten.ignore import IgnoreRules, pattern_to_regex
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WILD = re.compile(r"[*?\[\\]")
_SMALL = 128 << 10
"""Bytes of a file that is read at once: `file_digest` fills a buffer of 256 KiB with zeros for each."""


@dataclass(slots=True)
class Tree:
    """`rules` leaves entries out (a `.dockerignore`). `own` is False where owners count for nothing (a context: all is root's).

    `gives`: its files may become a layer's by link, on the same file system, and change their times by that.
    """

    root: int
    rules: IgnoreRules | None = None
    own: bool = True
    gives: bool = False
    _contents: dict[str, bytes] = field(default_factory=dict)

    def ignores(self, path: str) -> bool:
        return bool(self.rules and path and self.rules.ignores(path))

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of what `path` leads to, links followed within the root. Raises OSError."""
        return openat2(self.root, path or ".", flags | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)

    def is_directory(self, path: str) -> bool:
        try:
            os.close(self.open(path, os.O_PATH | os.O_DIRECTORY))
        except OSError:
            return False
        return True

    def find(self, pattern: str) -> list[str]:
        """The entries that a COPY source names, sorted: one, or all that match its wildcards, which may be none.

        Raises NotFound in BuildKit's words for a name that is not there.
        """
        clean = posixpath.normpath("/" + pattern).lstrip("/")
        if not _WILD.search(clean):
            if not self.exists(clean):
                raise _missing(pattern, own=self.own)
            return [clean]
        return sorted(p for p in self._match("", clean.split("/")) if not self.ignores(p))

    def walk(self, path: str) -> Iterator[tuple[str, os.stat_result]]:
        """`path` itself and all below it that is not left out, parents first, sorted; links are not followed."""
        parent, name = posixpath.split(path)
        fd = self.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield from self._walk(fd, name or ".", path)
        finally:
            os.close(fd)

    def digest(self, path: str, keep: Callable[[str], bool] = lambda path: True) -> str:
        """What COPY of `path` would bring, as a digest: names, kinds, modes, contents and owners; never times. Raises NotFound."""
        if path and not self.exists(path):
            raise _missing(path, own=self.own)
        total = hashlib.sha256()
        below = len(path) + 1 if path else 0
        for name, found in self.walk(path):
            if not keep(name):
                continue
            relative = name[below:] or "."
            owner = (found.st_uid, found.st_gid) if self.own else (0, 0)
            total.update(repr((relative, found.st_mode, *owner)).encode())
            total.update(self._content(name, found))
        return total.hexdigest()

    def _content(self, path: str, found: os.stat_result) -> bytes:
        if stat.S_ISDIR(found.st_mode):
            return b"/"
        if stat.S_ISLNK(found.st_mode):
            parent, name = posixpath.split(path)
            fd = self.open(parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                return os.fsencode(os.readlink(name, dir_fd=fd))
            finally:
                os.close(fd)
        if not stat.S_ISREG(found.st_mode):
            return repr(found.st_rdev).encode()
        if path not in self._contents:
            self._contents[path] = self._hash(path, found.st_size)
        return self._contents[path]

    def _hash(self, path: str, size: int) -> bytes:
        fd = self.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            data = os.read(fd, size + 1) if size < _SMALL else b""
            if data and len(data) == size:
                return hashlib.sha256(data).digest()
            os.lseek(fd, 0, os.SEEK_SET)
            with os.fdopen(fd, "rb", buffering=0, closefd=False) as file:
                return hashlib.file_digest(file, "sha256").digest()
        finally:
            os.close(fd)

    def _walk(self, folder: int, name: str, path: str) -> Iterator[tuple[str, os.stat_result]]:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        ignored = self.ignores(path)
        if not ignored:
            yield path, found
        if not stat.S_ISDIR(found.st_mode) or (ignored and self.rules and self.rules.prunes(path)):
            return
        inner = os.open(name, _DIRECTORY, dir_fd=folder)
        try:
            for child in sorted(os.listdir(inner)):
                yield from self._walk(inner, child, posixpath.join(path, child))
        finally:
            os.close(inner)

    def exists(self, path: str) -> bool:
        if self.ignores(path) and not (self.rules and not self.rules.prunes(path)):
            return False
        try:
            os.close(self.open(path, os.O_PATH))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _match(self, folder: str, parts: list[str]) -> Iterator[str]:
        """Entries below `folder` whose path matches the pattern's parts, one part a level."""
        first, rest = parts[0], parts[1:]
        if first == "**":
            yield from self._match_deep(folder, rest)
            return
        regex = re.compile(pattern_to_regex(first), re.DOTALL)
        try:
            fd = self.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            names = [n for n in os.listdir(fd) if regex.fullmatch(n)]
        finally:
            os.close(fd)
        for name in names:
            path = posixpath.join(folder, name)
            if rest:
                yield from self._match(path, rest)
            else:
                yield path

    def _match_deep(self, folder: str, rest: list[str]) -> Iterator[str]:
        """`**`: what matches `rest` in `folder` and every folder below it."""
        if rest:
            yield from self._match(folder, rest)
        fd = self.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(fd) as entries:
                found = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries)
        finally:
            os.close(fd)
        for name, is_folder in found:
            path = posixpath.join(folder, name)
            if not rest:
                yield path
            if is_folder:
                yield from self._match_deep(path, rest)


def missing_source(path: str) -> str:
    """BuildKit's words; it names a reference of its own where we say "the sources"."""
    return f'failed to compute cache key: failed to calculate checksum of the sources: "/{path.lstrip("/")}": not found'


def _missing(pattern: str, *, own: bool) -> NotFound:
    if own:
        text = f"lstat /{pattern.lstrip('/')}: no such file or directory"
        return NotFound(text, reason="copy-source-missing", hint="--from reads from that stage's or image's root")
    return NotFound(missing_source(pattern), reason="copy-source-missing", hint="is it in the context, and not in .dockerignore?")
