"""Reading a log's files: all opened at once, newest first, then read oldest first in blocks of whole lines; the tail found from the end."""

import os
import zlib
from collections.abc import Iterator

from corten.monitor.logs.rotation import all_files

BLOCK = 256 << 10
_GZIP_FORMAT = 31


class LogFile:
    """One open file of a log and how far it is read. Owns its descriptor."""

    __slots__ = ("_inflate", "_rest", "fd", "inode", "position", "size")

    def __init__(self, fd: int, *, gzipped: bool = False) -> None:
        found = os.fstat(fd)
        self.fd = fd
        self.inode = found.st_ino
        self.size = found.st_size
        self.position = 0
        self._rest = b""
        self._inflate = zlib.decompressobj(_GZIP_FORMAT) if gzipped else None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def block(self, limit: int | None = None) -> bytes:
        """The next whole lines, from about 256 KiB of file (as far as `limit`); b"" when there are none (more may be written)."""
        while True:
            wanted = BLOCK if limit is None else min(BLOCK, limit - self.position)
            data = os.pread(self.fd, wanted, self.position) if wanted > 0 else b""
            if not data:
                return self._last()
            self.position += len(data)
            if self._inflate is not None:
                data = self._inflate.decompress(data)
            end = data.rfind(b"\n") + 1
            if end:
                whole = self._rest + data[:end] if self._rest or end < len(data) else data
                self._rest = data[end:]
                return whole
            self._rest += data

    def _last(self) -> bytes:
        """What `skip_to_tail` has kept of a gzip file. A plain file's unfinished line waits for its end."""
        if self._inflate is None:
            return b""
        kept, self._rest = self._rest, b""
        return kept[: kept.rfind(b"\n") + 1]

    def skip_to_tail(self, lines: int) -> int:
        """Go to where the last `lines` lines begin (of a file just opened); how many there are, at most `lines`."""
        if self._inflate is not None:
            return self._skip_gzipped(lines)
        found = 0
        end = self.size
        while end > 0:
            begin = max(0, end - BLOCK // 4)
            data = os.pread(self.fd, end - begin, begin)
            # The newline that ends the last line does not begin a new one: look before it.
            newlines = data.count(b"\n")
            if found + newlines > lines:
                at = len(data)
                for _ in range(lines - found + 1):
                    at = data.rfind(b"\n", 0, at)
                self.position = begin + at + 1
                return lines
            found += newlines
            end = begin
        return found

    def _skip_gzipped(self, lines: int) -> int:
        blocks = []
        while block := self.block():
            blocks.append(block)
        text = b"".join(blocks)
        count = text.count(b"\n")
        if count > lines:
            text = b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""
        self._rest = text
        return min(count, lines)


def open_log(path: str, max_file: int) -> list[LogFile]:
    """All files of a log, oldest first, each once, as they are at this moment."""
    files: list[LogFile] = []
    for name in all_files(path, max_file):
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        file = LogFile(fd, gzipped=name.endswith(".gz"))
        if any(file.inode == known.inode for known in files):  # rotated between two opens
            file.close()
            continue
        files.append(file)
    return files[::-1]


def keep_tail(files: list[LogFile], lines: int) -> list[LogFile]:
    """Position oldest-first `files` so that `lines` lines are left; those that are passed over whole are closed."""
    left = lines
    kept: list[LogFile] = []
    for file in reversed(files):
        if kept and not left:
            file.close()
            continue
        left -= file.skip_to_tail(left)
        kept.append(file)
    return kept[::-1]


def blocks(files: list[LogFile], end: tuple[int, int] | None = None) -> Iterator[bytes]:
    """What the files hold, oldest first; each is closed when read, but the last stays open (it may be followed).

    `end` (inode, size): not beyond this point, where the log ended when it was decided what comes after.
    """
    for file in files:
        limit = end[1] if end is not None and file.inode == end[0] else None
        while block := file.block(limit):
            yield block
        if limit is not None:
            break
        if file is not files[-1]:
            file.close()
