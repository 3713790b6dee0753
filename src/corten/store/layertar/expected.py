"""What a layer's directory must hold, worked out from its tar's members: the rules of `store.tar.unpack` without a disk.

Later members replace earlier ones; whiteouts are overlayfs's marks; directories that only a path names are implied; links on the way
are followed inside the root.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from corten.errors import Invalid
from corten.oci.whiteout import META_PREFIX, OPAQUE, PREFIX, whiteout_target
from corten.store.tar.header import CHAR, DIRECTORY, HARD_LINK, SYMLINK, Entry
from corten.store.tar.places import clean_name

_MARK: Final = Entry(b"", CHAR, 0)
_MOST_LINKS: Final = 40


@dataclass(slots=True, eq=False)
class Expected:
    """`entry` None: a directory of which only the path is known. `same_as`: the path of the file that this is another name of."""

    entry: Entry | None
    opaque: bool = False
    whiteout: bool = False
    same_as: bytes | None = None

    @property
    def is_directory(self) -> bool:
        return self.entry is None or self.entry.type == DIRECTORY

    @property
    def is_link(self) -> bool:
        return self.entry is not None and self.entry.type == SYMLINK


class Expectations:
    """Filled by `add` in the order of the tar."""

    def __init__(self) -> None:
        self._found: dict[bytes, Expected] = {b"": Expected(None)}
        self._hard: list[tuple[Expected, Expected, bytes]] = []
        self._real: dict[bytes, bytes] = {}
        self._walked: set[bytes] = set()

    def add(self, entry: Entry) -> None:
        parent, _, name = clean_name(entry.name).rpartition(b"/")
        folder = self._enter(parent)
        if name.startswith(PREFIX):
            self._add_whiteout(folder, name)
            return
        path = folder + b"/" + name if folder else name
        before = self._found.get(path)
        if entry.type == DIRECTORY:
            opaque = before is not None and (before.whiteout or (before.is_directory and before.opaque))
            self._put(path, Expected(entry, opaque=opaque))
        elif entry.type == HARD_LINK:
            self._add_hard(path, entry)
        else:
            self._put(path, Expected(entry))

    def items(self) -> Iterator[tuple[bytes, Expected]]:
        """Real paths and what must be there; the root is b""."""
        for expected, target, path in self._hard:
            expected.same_as = path if self._found.get(path) is target else None
        yield from self._found.items()

    def _put(self, path: bytes, expected: Expected) -> None:
        before = self._found.get(path)
        if before is not None and before.is_directory and not expected.is_directory:
            for gone in [p for p in self._found if p.startswith(path + b"/")]:
                del self._found[gone]
        self._found[path] = expected
        if path in self._walked or (before is not None and before.is_link):
            self._real.clear()
            self._walked.clear()

    def _add_hard(self, path: bytes, entry: Entry) -> None:
        parent, _, name = clean_name(entry.link).rpartition(b"/")
        folder = self._enter(parent)
        target_path = folder + b"/" + name if folder else name
        if target_path == path:
            return
        target = self._found.get(target_path)
        if target is None:
            raise Invalid("a hard link to nothing", reason="bad-tar")
        expected = Expected(target.entry)
        self._put(path, expected)
        self._hard.append((expected, target, target_path))

    def _add_whiteout(self, folder: bytes, name: bytes) -> None:
        if name == OPAQUE:
            self._found.setdefault(folder, Expected(None)).opaque = True
            return
        target = whiteout_target(name)
        if target is None or name.startswith(META_PREFIX):
            return
        path = folder + b"/" + target if folder else target
        before = self._found.get(path)
        if before is None:
            self._put(path, Expected(_MARK, whiteout=True))
        elif before.is_directory:
            before.opaque = True

    def _enter(self, path: bytes) -> bytes:
        """The directory `path` without links; what is missing of it is implied."""
        known = self._real.get(path)
        if known is None:
            known = self._real[path] = self._walk(path)
        return known

    def _walk(self, path: bytes) -> bytes:
        left = path.split(b"/")[::-1] if path else []
        links = 0
        real: list[bytes] = []
        while left:
            part = left.pop()
            if part == b"..":
                del real[-1:]
                continue
            here = b"/".join((*real, part))
            self._walked.add(here)
            found = self._found.get(here)
            if found is not None and found.is_link and found.entry is not None and links < _MOST_LINKS:
                links += 1
                real = [] if found.entry.link.startswith(b"/") else real
                left += [p for p in found.entry.link.split(b"/")[::-1] if p not in (b"", b".")]
                continue
            real.append(part)
            if found is None or found.whiteout:
                self._found[here] = Expected(None, opaque=found is not None)
        return b"/".join(real)
