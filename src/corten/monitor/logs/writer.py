"""Writes one container's output to its log: encoding, rotation, and the promise of `journal` across a `kill -9`."""

import os
import time
from collections.abc import Callable

from corten.monitor.logs.encode import Encoder
from corten.monitor.logs.journal import Intent, Journal, Mark, settle
from corten.monitor.logs.rotation import DEFAULT_MAX_FILE, DEFAULT_MAX_SIZE, rotate
from corten.monitor.values import LogSpec

_ENTRY_OVERHEAD = 80
"""About what an entry has around its text; only used to foresee when a file will be full."""


class LogWriter:
    """The live file and where each stream stands in it. Appends to what is there."""

    def __init__(self, spec: LogSpec, journal: Journal, *, on_rotated: Callable[[int], None]) -> None:
        """`on_rotated` hears the inode of each file that has become `path.1`. OSError if the file cannot be opened."""
        self._path = spec["path"]
        self._max_size = spec.get("max_size", DEFAULT_MAX_SIZE)
        self._max_file = spec.get("max_file", DEFAULT_MAX_FILE)
        self._journal = journal
        self._on_rotated = on_rotated
        self._fd = self._open()
        self._marks = settle(journal.read(), self._fd)
        self._inode, self._size = self._identify()
        attrs = spec.get("attrs", {})
        self._encoders = (Encoder("stdout", attrs, self._marks[0].partial_since), Encoder("stderr", attrs, self._marks[1].partial_since))

    def logged(self, stream: int) -> int:
        """The position in the stream up to which it is in the log (or was dropped)."""
        return self._marks[stream - 1].position

    @property
    def end(self) -> tuple[int, int]:
        """(inode, size) of the live file: the end of the log now."""
        return self._inode, self._size

    def write(self, stream: int, text: bytes, *, final: bool = False) -> None:
        """Log `text`, which begins at `logged(stream)`; the begin of a line that is not over waits for the next call (or `final`).

        OSError when the file cannot be written: then nothing of `text` is in the log, and it may be dropped or tried again.
        """
        at = 0
        while at < len(text):
            if 0 < self._max_size <= self._size:
                self._rotate()
            cut = self._cut(text, at)
            part = text if cut - at == len(text) else text[at:cut]
            used = self._append(stream, part, final=final and cut == len(text))
            if not used:
                return
            at += used

    def drop(self, stream: int, length: int) -> None:
        """Pass over output that could not be written."""
        self._encoders[stream - 1].partial_since = 0
        after = Mark(self.logged(stream) + length)
        self._journal.write(Intent(self._inode, self._size, 0, stream, self._marks, after))
        self._set_mark(stream, after)

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, stream: int, text: bytes, *, final: bool) -> int:
        encoder = self._encoders[stream - 1]
        before = encoder.partial_since
        parts, used = encoder.encode(text, time.time_ns(), final=final)
        if not used:
            return 0
        length = sum(map(len, parts))
        after = Mark(self.logged(stream) + used, encoder.partial_since)
        self._journal.write(Intent(self._inode, self._size, length, stream, self._marks, after))
        try:
            _write_all(self._fd, parts, length)
        except OSError:
            encoder.partial_since = before
            os.ftruncate(self._fd, self._size)
            raise
        self._size += length
        self._set_mark(stream, after)
        return used

    def _set_mark(self, stream: int, mark: Mark) -> None:
        out, err = self._marks
        self._marks = (mark, err) if stream == 1 else (out, mark)

    def _cut(self, text: bytes, at: int) -> int:
        """An end of line up to which the text about fills the live file: at least one line."""
        room = self._max_size - self._size
        cut = len(text)
        if self._max_size <= 0 or (cut - at) * _ENTRY_OVERHEAD <= room:
            return cut
        while True:
            foreseen = cut - at + text.count(b"\n", at, cut) * _ENTRY_OVERHEAD
            if foreseen <= room:
                return cut
            shorter = text.find(b"\n", at + (cut - at) * room // foreseen, cut) + 1
            if not shorter or shorter == cut:
                return cut
            cut = shorter

    def _rotate(self) -> None:
        old = self._inode
        rotate(self._path, self._max_file)
        fresh = self._open()
        os.close(self._fd)
        self._fd = fresh
        self._inode, self._size = self._identify()
        if self._max_file > 1:
            self._on_rotated(old)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _identify(self) -> tuple[int, int]:
        now = os.fstat(self._fd)
        return now.st_ino, now.st_size


def _write_all(fd: int, parts: list[bytes], length: int) -> None:
    written = os.writev(fd, parts) if len(parts) < 1000 else 0
    if written == length:
        return
    rest = memoryview(b"".join(parts))[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]
