"""Reading a tar archive that arrives in chunks: entries, their payload without copying it, and the raw bytes around payloads.

    raw = padding of the payload before, pax and GNU extension members, the header        payload        raw …

Whoever wants the exact archive back keeps the raw bytes (`take_raw`) and the payloads. Nothing is sought: any pipe will do.
"""

from collections.abc import Iterator
from typing import Final

from corten.errors import Invalid
from corten.store.tar import sparse
from corten.store.tar.header import (
    BLOCK,
    FILE,
    GNU_LONG_LINK,
    GNU_LONG_NAME,
    GNU_SPARSE,
    HEADER_ONLY,
    PAX,
    PAX_GLOBAL,
    ZERO_BLOCK,
    Entry,
    apply_pax,
    bad,
    parse_header,
    parse_pax,
)

Chunk = bytes | memoryview
_MAX_EXTENSION: Final = 4 << 20
_EXTENSIONS: Final = frozenset((PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK))


class TarReader:
    """Entries one after another: `next_entry`, then its `payload` (what is left of it is skipped by the next `next_entry`).

    With `keep_raw` the raw bytes are kept for `take_raw`, which must then be called for every entry.
    """

    def __init__(self, chunks: Iterator[Chunk], *, keep_raw: bool = False) -> None:
        self._chunks = chunks
        self._keep_raw = keep_raw
        self._chunk = memoryview(b"")
        self._at = 0  # first byte of the chunk not yet used
        self._mark = 0  # first byte of the chunk not yet given out as raw; == _at while no raw bytes wait in this chunk
        self._raw: list[Chunk] = []
        self._left = 0  # of the current payload
        self._padding = 0  # after it
        self._used = 0  # bytes in the chunks before this one

    @property
    def position(self) -> int:
        """Bytes of the archive used so far."""
        return self._used + self._at

    def next_entry(self) -> Entry | None:
        """The next member, extensions applied; None at the end of the archive (then see `drain`).

        Raises Invalid for damage, an unfinished archive and headers that mean nothing.
        """
        if self._left or self._padding:
            self.skip_payload()
        pax: dict[bytes, bytes] = {}
        long_name = long_link = b""
        while (block := self._next_header()) is not None:
            entry = parse_header(block)
            if entry.type not in _EXTENSIONS:
                break
            data = self._extension(entry.size)
            if entry.type == PAX:
                pax.update(parse_pax(data))
            elif entry.type == GNU_LONG_NAME:
                long_name = data.partition(b"\0")[0]
            elif entry.type == GNU_LONG_LINK:
                long_link = data.partition(b"\0")[0]
        else:
            if pax or long_name or long_link:
                raise bad("an extension with no entry after it")
            return None
        entry.name = long_name or entry.name
        entry.link = long_link or entry.link
        if pax:
            apply_pax(entry, pax)
        self._begin_payload(entry, block, pax)
        return entry

    def payload(self) -> Iterator[memoryview]:
        """The current entry's payload in pieces of memory that stay valid."""
        while self._left:
            if self._at == len(self._chunk):
                self._refill()
            piece = self._chunk[self._at : self._at + self._left]
            self._at = self._mark = self._at + len(piece)
            self._left -= len(piece)
            yield piece
        self._padding, padding = 0, self._padding
        self._skip_raw(padding)

    def skip_payload(self) -> None:
        for _ in self.payload():
            pass

    def whole_payload(self) -> memoryview | None:
        """All of the payload at once if it lies in one chunk; None means: use `payload`."""
        left = self._left
        if len(self._chunk) - self._at < left:
            return None
        piece = self._chunk[self._at : self._at + left]
        self._at = self._mark = self._at + left
        self._left = 0
        padding, self._padding = self._padding, 0
        if self._at + padding <= len(self._chunk):
            self._at += padding
        else:
            self._skip_raw(padding)
        return piece

    def read_payload(self, limit: int) -> bytes:
        """All of the payload as bytes. Raises Invalid when it is longer than `limit`."""
        if self._left > limit:
            raise Invalid(f"archive member of {self._left} bytes: the limit is {limit}", reason="bad-tar")
        return b"".join(self.payload())

    def take_raw(self) -> list[Chunk]:
        """The bytes around payloads since the last call."""
        self._set_raw_aside()
        raw, self._raw = self._raw, []
        return raw

    def drain(self) -> Iterator[Chunk]:
        """After the end: the bytes that follow the last entry (end marker, padding, anything), in pieces."""
        yield from self.take_raw()
        while True:
            if self._at < len(self._chunk):
                rest = self._chunk[self._at :]
                self._at = self._mark = len(self._chunk)
                yield rest
            if not self._advance():
                return

    def _begin_payload(self, entry: Entry, block: bytes, pax: dict[bytes, bytes]) -> None:
        """Work out how much payload follows; header-only types have none whatever their size says (as in Go's reader)."""
        if entry.type in HEADER_ONLY:
            entry.size = 0
        self._left = entry.size
        self._padding = -entry.size % BLOCK
        if entry.type == GNU_SPARSE:
            extents, length = sparse.old_gnu_map(block, self._block)
            sparse.set_map(entry, extents, length)
            entry.type = FILE
        elif pax:
            sparse.pax_map(entry, pax, self._block)
            self._left = entry.size
        self._set_raw_aside()

    def _next_header(self) -> bytes | None:
        try:
            block = self._take(BLOCK)
        except EOFError as end:
            if end.args[0]:
                raise Invalid("unexpected EOF: the archive ends inside a header", reason="truncated-tar") from None
            return None
        if block != ZERO_BLOCK:
            return block
        try:
            second = self._take(BLOCK)
        except EOFError:
            return None
        if second != ZERO_BLOCK:
            raise bad("one empty block inside the archive")
        return None

    def _extension(self, size: int) -> bytes:
        if size > _MAX_EXTENSION:
            raise bad(f"extension of {size} bytes")
        data = self._must_take(size)
        self._must_take(-size % BLOCK)
        return data

    def _block(self) -> bytes:
        return self._must_take(BLOCK)

    def _must_take(self, size: int) -> bytes:
        try:
            return self._take(size)
        except EOFError:
            raise Invalid("unexpected EOF: the archive ends inside a header", reason="truncated-tar") from None

    def _take(self, size: int) -> bytes:
        """The next `size` bytes, which count as raw. Raises EOFError(number of bytes that there still were)."""
        end = self._at + size
        if end <= len(self._chunk):
            taken = bytes(self._chunk[self._at : end])
            self._at = end
            return taken
        parts = [bytes(self._chunk[self._at :])]
        missing = size - len(parts[0])
        self._at = len(self._chunk)
        while missing:
            if not self._advance():
                raise EOFError(size - missing)
            part = bytes(self._chunk[:missing])
            self._at = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _skip_raw(self, size: int) -> None:
        """Pass over `size` bytes that count as raw. A missing end of the last padding is accepted, as Go's reader does."""
        while size:
            step = min(size, len(self._chunk) - self._at)
            self._at += step
            size -= step
            if size and not self._advance():
                return

    def _set_raw_aside(self) -> None:
        if self._keep_raw and self._mark < self._at:
            self._raw.append(self._chunk[self._mark : self._at])
        self._mark = self._at

    def _refill(self) -> None:
        if not self._advance():
            raise Invalid("unexpected EOF: the archive ends inside a file", reason="truncated-tar")

    def _advance(self) -> bool:
        """Go to the next chunk, which is not empty; False at the end of the stream."""
        self._set_raw_aside()
        self._used += len(self._chunk)
        for chunk in self._chunks:
            if len(chunk):
                self._chunk = memoryview(chunk)
                self._at = self._mark = 0
                return True
        self._chunk = memoryview(b"")
        self._at = self._mark = 0
        return False
