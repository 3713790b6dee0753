"""What a digest saw of a folder that others may change meanwhile: a copy must bring just that, or it must not be called by that digest."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from corten.build.files.digests import Reading, digest_of
from corten.errors import Conflict


class Changed(Conflict):
    """A tree changed at `path` while a step read it. `settle` (which blocks) makes it keep still."""

    def __init__(self, settle: Callable[[], object], path: str) -> None:
        super().__init__(f'"/{path}" of the build context changed while it was read', reason="context-changed")
        self.settle = settle


@dataclass(slots=True)
class Witness:
    """For one step and the part of a tree that it copies. Threads may share it. `settle`: as `Changed` has it."""

    settle: Callable[[], object]
    _seen: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _doubtful: dict[str, bytes] = field(default_factory=dict)  # files that may change unseen, with what was in them
    _copied: set[str] = field(default_factory=set)

    def see(self, path: str, reading: Reading) -> None:
        self._seen[path] = _print(reading.found)
        if not reading.is_settled:
            self._doubtful[path] = reading.digest

    def hold(self, path: str, found: os.stat_result) -> None:
        """Something at `path` has been copied, and looked like this at the end. Raises Changed."""
        if self._seen.get(path) != _print(found):
            raise Changed(self.settle, path)
        self._copied.add(path)

    def hold_file(self, path: str, source: int, copy: int | None = None) -> None:
        """The same of a file, open as `source` and as its `copy`, None for one that was used in another way. Raises Changed."""
        found = os.fstat(source)
        digest = self._doubtful.get(path)
        if digest is not None and digest_of(source if copy is None else copy, found.st_size) != digest:
            raise Changed(self.settle, path)
        self.hold(path, found)

    def finish(self) -> None:
        """Raises Changed when something was not copied because it was gone."""
        if len(self._copied) < len(self._seen):
            raise Changed(self.settle, min(self._seen.keys() - self._copied))


def _print(found: os.stat_result) -> tuple[int, ...]:
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        return (mode,)
    if stat.S_ISREG(mode):
        return (mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return (mode, found.st_dev, found.st_ino, found.st_rdev, found.st_ctime_ns)
