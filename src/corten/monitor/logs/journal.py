"""What makes log writing survive `kill -9`: before each write a record says what it will have done; the file's size tells if it did.

    what was logged before (a position in each stream)  +  this write: file, offset, length -> the new position

The record lies in memory that the launcher holds too (a memfd), written by one pwrite(2): a signal cannot cut that. The stream's
bytes are still in its spool, which is not released before the write. So a successor either sees a file of at least offset+length
and goes on behind it, or cuts the file back to offset and writes the same bytes again: nothing lost, nothing twice.
"""

import os
import struct
from typing import NamedTuple

_RECORD = struct.Struct("=QQQQQQQQQQ")
JOURNAL_AT = 1 << 40
"""Where in the memfd: far behind any byte of the spool that shares it."""


class Mark(NamedTuple):
    """How far one stream is logged, and when the line began of which so far only pieces are (0: no such line)."""

    position: int = 0
    partial_since: int = 0


class Intent(NamedTuple):
    """One write to come: `length` bytes at `offset` of file `inode` take `stream` (1 or 2) from `marks` to `after`."""

    inode: int
    offset: int
    length: int
    stream: int
    marks: tuple[Mark, Mark]
    after: Mark


class Journal:
    """One container's record. The descriptor stays the caller's."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, intent: Intent) -> None:
        inode, offset, length, stream, (out, err), after = intent
        os.pwrite(self._fd, _RECORD.pack(inode, offset, length, stream, *out, *err, *after), JOURNAL_AT)

    def read(self) -> Intent | None:
        data = os.pread(self._fd, _RECORD.size, JOURNAL_AT)
        if len(data) < _RECORD.size:
            return None
        inode, offset, length, stream, *rest = _RECORD.unpack(data)
        return Intent(inode, offset, length, stream, (Mark(*rest[:2]), Mark(*rest[2:4])), Mark(*rest[4:]))


def settle(intent: Intent | None, fd: int) -> tuple[Mark, Mark]:
    """Make the log file `fd` (the live one now) fit the record that a killed writer left, and say how far each stream is logged.

    A live file that is not the record's was made by a rotation, which begins only after a write was complete.
    """
    if intent is None:
        return Mark(), Mark()
    out, err = intent.marks
    now = os.fstat(fd)
    if now.st_ino == intent.inode and now.st_size < intent.offset + intent.length:
        if now.st_size > intent.offset:
            os.ftruncate(fd, intent.offset)
        return out, err
    return (intent.after, err) if intent.stream == 1 else (out, intent.after)
