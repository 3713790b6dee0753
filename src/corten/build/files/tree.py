"""A directory tree that COPY and ADD read from: a build context, a stage, an image. Wildcards, links within the root, content digests.

A tree is a descriptor of its root; nothing outside it is ever reached (openat2 RESOLVE_IN_ROOT). Paths are relative, without
leading slash; "" is the root.

Most trees are private: nobody writes there while a build reads. A local context has a `LocalSource`, and what is copied
from it is compared with its digest (`change_detector`).
"""

import errno
import hashlib
import itertools
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from corten.build.files.change_detector import ChangeDetector, ContextChanged
from corten.build.files.digests import FileChanging, FileDigest, FileDigests, side_by_side
from corten.build.files.local_source import LocalSource
from corten.errors import NotFound
from corten.ignore import IgnoreRules, pattern_to_regex
from corten.kernel.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors of entries that others move or replace."""
_WILD = re.compile(r"[*?\[\\]")
_AT_ONCE = 4096
"""Entries that a digest looks at before it reads those which are not known."""
Entry = tuple[str, os.stat_result]


@dataclass(slots=True)
class Tree:
    """`rules` leaves entries out (a `.dockerignore`). `own` is False where owners count for nothing (a context: all is root's).

    `gives`: its files may become a layer's by link, on the same file system, and change their times by that.
    """

    root: int
    rules: IgnoreRules | None = None
    own: bool = True
    may_link: bool = False
    digests: FileDigests = field(default_factory=FileDigests)
    local: "LocalSource[Tree] | None" = None

    def ignores(self, path: str) -> bool:
        return bool(self.rules and path and self.rules.ignores(path))

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of what `path` leads to, links followed within the root. Raises OSError."""
        return openat2(self.root, path or ".", flags | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)

    def resolved(self, path: str) -> str:
        """The path without links of what `path` leads to. Raises OSError, ContextChanged when a local context changes meanwhile."""
        if not path or posixpath.normpath(path) == path:
            try:
                os.close(openat2(self.root, path or ".", os.O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS))
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
            else:
                return path
        fd = self.open(path, os.O_PATH)
        try:
            root, found = (os.readlink(f"/proc/self/fd/{which}") for which in (self.root, fd))
            clean = "" if found == root else posixpath.relpath(found, root)
            if not self._is_at(clean, fd):  # something is mounted there that only the client sees, or it was moved
                if self.local is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
                raise ContextChanged(self.local.copy_once, path)
        finally:
            os.close(fd)
        return clean

    def _is_at(self, path: str, fd: int) -> bool:
        try:
            there = self.open(path, os.O_PATH | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            return os.path.sameopenfile(there, fd)
        finally:
            os.close(there)

    def private_copy(self) -> "Tree":
        """Itself, or a copy of a shared one, which a process may see. Blocks."""
        return self if self.local is None else self.local.copy_once()

    def current(self) -> "Tree":
        """Itself, or the copy that has taken its place."""
        return self if self.local is None else self.local.copied or self

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

    def walk(self, path: str) -> Iterator[Entry]:
        """`path` itself and all below it that is not left out, parents first, sorted; links are not followed."""
        parent, name = posixpath.split(path)
        fd = self.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield from self._walk(fd, name or ".", path)
        finally:
            os.close(fd)

    def digest(self, path: str, keep: Callable[[str], bool] = lambda path: True, detector: ChangeDetector | None = None) -> str:
        """What COPY of `path` would bring, as a digest: names, kinds, modes, contents and owners; never times. `detector` gets each entry.

        Raises NotFound, and ContextChanged for what somebody changes meanwhile.
        """
        if path and not self.exists(path):
            raise _missing(path, own=self.own)
        try:
            return self._digest(self.resolved(path), keep, detector)
        except OSError as error:
            if self.local is None or not (isinstance(error, FileChanging) or error.errno in GONE):
                raise
            raise ContextChanged(self.local.copy_once, os.fsdecode(error.filename or path)) from error

    def _digest(self, path: str, keep: Callable[[str], bool], detector: ChangeDetector | None) -> str:
        total = hashlib.sha256()
        below = len(path) + 1 if path else 0
        entries = (entry for entry in self.walk(path) if keep(entry[0]))
        while some := list(itertools.islice(entries, _AT_ONCE)):
            readings = self._readings(some, keep)
            for name, seen in some:
                reading = readings.get(name) or FileDigest(seen, self._content(name, seen))
                found = reading.found
                owner = (found.st_uid, found.st_gid) if self.own else (0, 0)
                total.update(repr((name[below:] or ".", found.st_mode, *owner)).encode())
                total.update(reading.digest)
                if detector is not None:
                    detector.record(name, reading)
        return total.hexdigest()

    def _readings(self, entries: Sequence[Entry], keep: Callable[[str], bool]) -> dict[str, FileDigest]:
        """What is read now, of files that did not look the same before; several at once."""
        found: dict[str, FileDigest] = {}

        def read(paths: Sequence[tuple[str, int]]) -> None:
            for folder, files in itertools.groupby(paths, lambda file: posixpath.dirname(file[0])):
                fd = self.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    for path, _ in files:
                        check = partial(keep, path)  # raises when the build is cancelled
                        check()
                        found[path] = self.digests.read(fd, posixpath.basename(path), check)
                finally:
                    os.close(fd)

        side_by_side(read, [(p, s.st_size) for p, s in entries if stat.S_ISREG(s.st_mode) and self.digests.find(s) is None])
        return found

    def _content(self, path: str, found: os.stat_result) -> bytes:
        """Of a file that was read before, or of what is none."""
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
        digest = self.digests.find(found)
        if digest is None:  # another step has just read it anew
            raise FileChanging(errno.ENOENT, "changed while it was read", path)
        return digest

    def _walk(self, folder: int, name: str, path: str) -> Iterator[Entry]:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if self.local is not None and stat.S_ISSOCK(found.st_mode):
                return  # as a client leaves it out
            ignored = self.ignores(path)
            is_walked = stat.S_ISDIR(found.st_mode) and not (ignored and self.rules and self.rules.prunes(path))
            if self.local is not None and self.local.user is not None and (is_walked or not ignored):
                self.local.user.check_readable(folder, name, path, found)
            inner = os.open(name, _DIRECTORY, dir_fd=folder) if is_walked else -1
        except OSError as error:
            if self.local is not None and error.errno in GONE:
                return
            raise
        try:
            if not ignored:
                yield path, found
            for child in sorted(os.listdir(inner)) if is_walked else ():
                yield from self._walk(inner, child, f"{path}/{child}" if path else child)
        finally:
            if is_walked:
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
