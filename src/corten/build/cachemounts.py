"""`RUN --mount=type=cache`: named directories that live on from build to build, outside every layer.

build/caches/<sha256 of the id>/     the directory; its record is a row
"""

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from corten.errors import Conflict, NotFound
from corten.ids import random_hex64
from corten.store.copytree import TreeCopy
from corten.store.db import Database, Migration
from corten.store.trash import Trash
from corten.store.tree import measure

Sharing = Literal["shared", "private", "locked"]

MIGRATIONS: Final = (
    Migration(
        "cache_mounts",
        1,
        (
            """CREATE TABLE cache_mounts (
                 id TEXT PRIMARY KEY, created INTEGER NOT NULL, used INTEGER NOT NULL, uses INTEGER NOT NULL
               ) WITHOUT ROWID""",
        ),
    ),
    Migration("cache_mounts", 2, ("ALTER TABLE cache_mounts ADD COLUMN quota INTEGER NOT NULL DEFAULT 0",)),
)
DOWNLOADS: Final = re.compile(
    r"pip|\buv\b|conda|mamba|poetry|apt|apk|dnf|yum|npm|yarn|pnpm|cargo|maven|gradle|go/pkg|hugging|hf_|torch", re.IGNORECASE
)
"""Ids of caches that hold what was downloaded: the dearest to make again, so the last to go."""


@dataclass(frozen=True, slots=True)
class CacheMount:
    """Times are ns since the epoch; `quota` is in bytes, 0 = none."""

    id: str
    path: str
    created: int
    used: int
    uses: int
    in_use: bool
    quota: int = 0

    @property
    def is_download(self) -> bool:
        return bool(DOWNLOADS.search(self.id))


@dataclass(slots=True)
class _Use:
    count: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class CacheMounts:
    """Belongs to the event loop; `size` walks and belongs in a thread."""

    def __init__(self, root: str, db: Database, trash: Trash, mounted: Callable[[str], bool] = lambda path: False) -> None:
        """`mounted` tells whether a container has a cache's directory mounted."""
        self._mounted = mounted
        self._root = root
        self._db = db
        self._trash = trash
        self._uses: dict[str, _Use] = {}
        os.makedirs(root, mode=0o700, exist_ok=True)

    @asynccontextmanager
    async def held(
        self, cache_id: str, sharing: Sharing, *, mode: int = 0o755, owner: tuple[int, int] = (0, 0), seed: str | None = None
    ) -> AsyncIterator[str]:
        """The directory of that cache, made when missing (as a copy of the directory `seed`).

        "locked" waits for the others; "private" takes a copy's name while in use.
        """
        use = self._uses.setdefault(cache_id, _Use())
        name = cache_id
        if sharing == "private" and use.count:
            name = next(f"{cache_id}#{n}" for n in range(1, 1 << 16) if not self._uses.setdefault(f"{cache_id}#{n}", _Use()).count)
            use = self._uses[name]
        if sharing == "locked":
            await use.lock.acquire()
        use.count += 1
        try:
            yield await asyncio.to_thread(self._prepare, name, mode, owner, seed)
        finally:
            use.count -= 1
            if sharing == "locked":
                use.lock.release()

    def path(self, cache_id: str) -> str:
        return os.path.join(self._root, hashlib.sha256(cache_id.encode()).hexdigest())

    def list(self) -> list[CacheMount]:
        """Least recently used first."""
        rows = self._db.query("SELECT id, created, used, uses, quota FROM cache_mounts ORDER BY used")
        return [CacheMount(i, self.path(i), created, used, uses, self._in_use(i), quota) for i, created, used, uses, quota in rows]

    def ensure(self, cache_id: str) -> str:
        """The directory of that cache, made when missing. Blocks for moments."""
        return self._prepare(cache_id, 0o755, (0, 0), None)

    def limit(self, cache_id: str, quota: int) -> None:
        """Sets the quota (bytes, 0 = none). Raises NotFound."""
        if not self._db.execute("UPDATE cache_mounts SET quota = ? WHERE id = ?", (quota, cache_id)):
            raise NotFound(f"no such cache: {cache_id}", reason="no-such-cache")

    def size(self, cache_id: str) -> int:
        return measure(self.path(cache_id)).size

    def remove(self, cache_id: str) -> None:
        """Raises NotFound, and Conflict while a build has it."""
        if self._in_use(cache_id):
            raise Conflict(f"cache {cache_id} is in use by a build or a container", reason="cache-in-use")
        if not self._db.execute("DELETE FROM cache_mounts WHERE id = ?", (cache_id,)):
            raise NotFound(f"no such cache: {cache_id}", reason="no-such-cache")
        self._trash.throw(self.path(cache_id))

    def _in_use(self, cache_id: str) -> bool:
        use = self._uses.get(cache_id)
        return bool(use and use.count) or self._mounted(self.path(cache_id))

    def _prepare(self, cache_id: str, mode: int, owner: tuple[int, int], seed: str | None) -> str:
        path, now = self.path(cache_id), time.time_ns()
        if not os.path.isdir(path):
            part = f"{path}.{random_hex64()[:12]}.part"
            os.mkdir(part)
            if seed is not None:
                _copy_into(seed, part)
            os.chmod(part, mode)
            os.chown(part, *owner)
            try:
                os.rename(part, path)
            except OSError:  # another build was faster
                shutil.rmtree(part, ignore_errors=True)
        self._db.execute(
            "INSERT INTO cache_mounts (id, created, used, uses) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (id) DO UPDATE SET used = excluded.used, uses = uses + 1",
            (cache_id, now, now),
        )
        return path


def _copy_into(source: str, target: str) -> None:
    copy = TreeCopy()
    ends = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (source, target)]
    try:
        copy.contents(*ends)
    finally:
        copy.close()
        for fd in ends:
            os.close(fd)
