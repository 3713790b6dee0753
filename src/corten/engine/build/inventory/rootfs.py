"""Components of an inventory, and the root that is scanned: links stay inside it, nothing is read without an end."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

MOST_ENTRIES: Final = 2_000_000
MOST_COMPONENTS: Final = 50_000
LONGEST_TEXT: Final = 512
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One thing in a root. `kind` is SPDX's primary purpose; `where` the file that told of it. `digest` is sha256 in hex, "" for none.

    `licence` is a text as its author wrote it. `purl` is a package URL.
    """

    kind: str
    name: str
    version: str = ""
    licence: str = ""
    supplier: str = ""
    purl: str = ""
    where: str = ""
    note: str = ""
    digest: str = ""


@dataclass(slots=True)
class ScannedRoot:
    """`fd` is the root; `check` is called now and then and may raise. `cut` says what was left out, for whoever reads the result."""

    fd: int
    check: Callable[[], None] = lambda: None
    cut: list[str] = field(default_factory=list)

    def text(self, path: str, limit: int) -> str | None:
        """At most `limit` bytes of the regular file that `path` leads to inside the root; None when there is none."""
        data = self.read(path, limit)
        return None if data is None else data.decode(errors="replace")

    def read(self, path: str, limit: int) -> bytes | None:
        try:
            fd = self.open(path)
        except OSError:
            return None
        try:
            pieces, left = list[bytes](), limit
            while left and (piece := os.read(fd, min(left, _PIECE))):
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)
        except OSError:
            return None
        finally:
            os.close(fd)

    def open(self, path: str, *, follow: bool = True) -> int:
        """A regular file; whoever calls closes it. Raises OSError. Pipes do not make it wait, devices are not opened for reading."""
        resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (0 if follow else RESOLVE_NO_SYMLINKS)
        known = openat2(self.fd, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW), resolve=resolve)
        try:
            if not stat.S_ISREG(os.fstat(known).st_mode):
                raise OSError(f"{path} is not a regular file")
            return os.open(f"/proc/self/fd/{known}", os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC)
        finally:
            os.close(known)

    def names(self, path: str) -> list[str]:
        """What the folder holds, sorted; nothing when it is none."""
        try:
            fd = openat2(self.fd, path, os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        except OSError:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)

    def walk(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, list[str]]]:
        """Each folder with those of its names that `wanted` takes (folders among them), sorted. Links are not followed.

        It ends after MOST_ENTRIES, and passes over what cannot be read.
        """
        pending, seen = [""], 0
        while pending:
            folder = pending.pop()
            self.check()
            try:
                names, below, count = self._listed(folder, wanted, MOST_ENTRIES - seen)
            except OSError:
                self.cut.append(f"a folder that cannot be read: /{folder[:LONGEST_TEXT]}")
                continue
            seen += count
            if names:
                yield folder, names
            if seen >= MOST_ENTRIES:
                self.cut.append(f"what comes after the first {MOST_ENTRIES} files")
                return
            pending += [f"{folder}/{name}" if folder else name for name in sorted(below, reverse=True)]

    def _listed(self, folder: str, wanted: Callable[[str], bool], most: int) -> tuple[list[str], list[str], int]:
        """The names to look at, the folders, and how many entries there were."""
        names, below, count = list[str](), list[str](), 0
        resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
        fd = openat2(self.fd, folder or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=resolve)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    count += 1
                    if len(names) < MOST_COMPONENTS and wanted(entry.name):
                        names.append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.name)
                    if count >= most:
                        break
        finally:
            os.close(fd)
        return sorted(names), below, count


def shown(text: str) -> str:
    """A text of the root as JSON may hold it: no lone surrogates, one line, not too long."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(clean.split())[:LONGEST_TEXT]
