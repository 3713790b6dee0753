"""Volumes that hold model weights, recognised by looking at names and at the first bytes of a few files.

    *.safetensors     8 bytes of header length, then a JSON object
    *.gguf            the letters GGUF
    *.bin, *.pt       a zip or a pickle, beside a config.json
    models--ORG--X/   with blobs/ in it: the Hugging Face cache

Nothing is read whole and no tree is walked to its end: the look goes level by level and stops at LIMIT entries. What was found is kept
with the time of the look; `scan` repeats it, `known` and `all` do not. Whoever measures a volume looks, too (see `engine.usage`).
"""

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from corten.store.db import Database, Migration
from corten.store.volumes import Volume
from corten.units import human_size

LIMIT: Final = 20_000
MIGRATIONS: Final = (
    Migration(
        "models",
        1,
        ("CREATE TABLE volume_models (volume TEXT PRIMARY KEY, looked INTEGER NOT NULL, found TEXT NOT NULL) WITHOUT ROWID",),
    ),
)
BUDGET: Final = 0.15
_YOUNG: Final = 2 * 10**9
"""A look so recent (ns) is not repeated for whoever asks."""
_HEADER_LIMIT: Final = 100 << 20
_SUFFIXES: Final = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_PICKLES: Final = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True, slots=True)
class ModelsFound:
    """What kinds of weights a volume holds, in how many files of what size in bytes (at least: a look has an end)."""

    kinds: tuple[str, ...]
    files: int
    size: int

    def __str__(self) -> str:
        files = f"{self.files} files" if self.files != 1 else "1 file"
        return f"{', '.join(self.kinds)} ({files}, {human_size(self.size)})"


class ModelRecords:
    """What is known of volumes. `scan` reads the disk and belongs in a thread."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def scan(self, volume: str, path: str) -> ModelsFound | None:
        """Looks at the files now, and keeps what it saw."""
        found = recognise(path)
        text = json.dumps([found.kinds, found.files, found.size]) if found else ""
        self._db.execute("INSERT OR REPLACE INTO volume_models VALUES (?, ?, ?)", (volume, time.time_ns(), text))
        return found

    def known(self, volume: str) -> ModelsFound | None:
        """What the last look saw."""
        row = self._db.query_one("SELECT found FROM volume_models WHERE volume = ?", (volume,))
        return _found(row[0]) if row and row[0] else None

    def all(self) -> dict[str, ModelsFound]:
        """What the last looks saw, by volume; those without models are not in it."""
        return {volume: _found(text) for volume, text in self._db.query("SELECT volume, found FROM volume_models WHERE found != ''")}

    def scan_times(self) -> dict[str, int]:
        """When volumes were last looked at, in ns since the epoch."""
        return dict(self._db.query("SELECT volume, looked FROM volume_models"))

    def forget(self, volume: str) -> None:
        self._db.execute("DELETE FROM volume_models WHERE volume = ?", (volume,))


def _found(text: str) -> ModelsFound:
    kinds, files, size = json.loads(text)
    return ModelsFound(tuple(kinds), files, size)


def recognise(path: str) -> ModelsFound | None:
    """The weights below `path`; None when there are none. Links are not followed, what cannot be read is passed over."""
    kinds: dict[str, None] = {}
    files = size = 0
    for kind, length in _weights(path):
        kinds[kind] = None
        files += 1
        size += length
    return ModelsFound(tuple(kinds), files, size) if kinds else None


def _weights(path: str) -> Iterator[tuple[str, int]]:
    """Kind and size of each file of weights, level by level."""
    pending = deque([(path, 0)])
    seen = 0
    while pending and seen < LIMIT:
        folder, depth = pending.popleft()
        entries = _entries(folder)
        seen += len(entries)
        names = {entry.name for entry in entries}
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name.startswith("models--") and os.path.isdir(os.path.join(entry.path, "blobs")):
                    yield from _hugging_face(entry.path)
                else:
                    pending.append((entry.path, depth + 1))
            elif kind := _kind(entry, has_config="config.json" in names):
                yield kind, entry.stat(follow_symlinks=False).st_size


def _hugging_face(path: str) -> Iterator[tuple[str, int]]:
    """A repository in the Hugging Face cache: its files are blobs named by digest."""
    for entry in _entries(os.path.join(path, "blobs")):
        if entry.is_file(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            if size >= 1 << 20 or _head(entry.path)[:4] == b"GGUF" or is_safetensors(_head(entry.path)):
                yield "Hugging Face cache", size


def _kind(entry: os.DirEntry[str], *, has_config: bool) -> str | None:
    if not entry.is_file(follow_symlinks=False) or not entry.name.lower().endswith(_SUFFIXES):
        return None
    return kind_of_weights(entry.name, _head(entry.path), has_config=has_config)


def kind_of_weights(name: str, head: bytes, *, has_config: bool) -> str | None:
    """What kind a file of weights is, by its name and its first 16 bytes; None when it is none. `has_config`: a config.json lies beside."""
    name = name.lower()
    if name.endswith(".safetensors"):
        return "safetensors" if is_safetensors(head) else None
    if name.endswith(".gguf"):
        return "gguf" if head.startswith(b"GGUF") else None
    if name.endswith((".bin", ".pt", ".pth")) and has_config:
        return "pytorch" if head.startswith(_PICKLES) else None
    return None


def is_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and 2 <= length <= _HEADER_LIMIT and head[8:9] == b"{"


def _head(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 16)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


class ModelScanner:
    """Belongs to the event loop; looks run in threads."""

    def __init__(self, models: ModelRecords, place: Callable[[Volume], str]) -> None:
        """`place` tells where a volume's files are."""
        self._models = models
        self._place = place

    async def find_models(self, volumes: Sequence[Volume], used: Mapping[str, int]) -> dict[str, ModelsFound]:
        """Those that hold models, by name. `used` tells when each was last used (ns): it may have changed until then."""
        looked = self._models.scan_times()
        due = [volume for volume in volumes if _is_due(volume, looked.get(volume.name, 0), used.get(volume.name, 0))]
        if due:
            await asyncio.to_thread(self._look, due)
        known = self._models.all()
        return {volume.name: known[volume.name] for volume in volumes if volume.name in known}

    def _look(self, volumes: Sequence[Volume]) -> None:
        deadline = time.monotonic() + BUDGET
        for volume in volumes:
            self._models.scan(volume.name, self._place(volume))
            if time.monotonic() > deadline:
                return


def _is_due(volume: Volume, looked: int, used: int) -> bool:
    return looked <= max(volume.created, used) and time.time_ns() - looked > _YOUNG
