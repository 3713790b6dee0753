"""Detects changes of a local context between its digest and its copy, so that no layer is stored under the key of other content."""

import asyncio
import itertools
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from corten.build.files.digests import FileDigest, digest_of
from corten.errors import Conflict

T = TypeVar("T")
IN_PLACE_ATTEMPTS: Final = 2
"""Attempts on the folder itself, before it is copied."""
MOST_ATTEMPTS: Final = 12
"""Attempts in all: a step may need several folders, and wait for another build's."""


class ContextChanged(Conflict):
    """A local context changed at `path` while a step read it. `copy_once` (which blocks) makes a copy that does not change."""

    def __init__(self, copy_once: Callable[[], object], path: str) -> None:
        super().__init__(f'"/{path}" of the build context changed while it was read', reason="context-changed")
        self.copy_once = copy_once


@dataclass(slots=True)
class ChangeDetector:
    """For one step and the part of a tree that it copies. Threads may share it. `copy_once`: as `ContextChanged` has it."""

    copy_once: Callable[[], object]
    _seen: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _doubtful: dict[str, bytes] = field(default_factory=dict)  # files that may change unseen, with what was in them
    _copied: set[str] = field(default_factory=set)

    def record(self, path: str, reading: FileDigest) -> None:
        self._seen[path] = _print(reading.found)
        if not reading.is_stable:
            self._doubtful[path] = reading.digest

    def verify(self, path: str, found: os.stat_result) -> None:
        """Something at `path` has been copied, and looked like this at the end. Raises ContextChanged."""
        if self._seen.get(path) != _print(found):
            raise ContextChanged(self.copy_once, path)
        self._copied.add(path)

    def verify_file(self, path: str, source: int, copy: int | None = None) -> None:
        """The same of a file, open as `source` and as its `copy`, None for one that was used in another way. Raises ContextChanged."""
        found = os.fstat(source)
        digest = self._doubtful.get(path)
        if digest is not None and digest_of(source if copy is None else copy, found.st_size) != digest:
            raise ContextChanged(self.copy_once, path)
        self.verify(path, found)

    def finish(self) -> None:
        """Raises ContextChanged when something was not copied because it was gone."""
        if len(self._copied) < len(self._seen):
            raise ContextChanged(self.copy_once, min(self._seen.keys() - self._copied))


def _print(found: os.stat_result) -> tuple[int, ...]:
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        return (mode,)
    if stat.S_ISREG(mode):
        return (mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return (mode, found.st_dev, found.st_ino, found.st_rdev, found.st_ctime_ns)


async def retry_on_change(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, which is retried when a local context changes under it. Raises what it raises."""
    for attempt in itertools.count(1):
        try:
            return await work()
        except ContextChanged as change:
            if attempt == MOST_ATTEMPTS:
                raise
            if attempt >= IN_PLACE_ATTEMPTS:
                await asyncio.to_thread(change.copy_once)
    raise AssertionError("counting has no end")
