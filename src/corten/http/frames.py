"""The frames in which attach, exec and logs carry stdout and stderr over one stream, without I/O.

```
 | stream 1 byte | 0 0 0 | length, 4 bytes big-endian | payload |      stream: 0 stdin, 1 stdout, 2 stderr, 3 an error text
```
Source: Engine API, "Stream format" of POST /containers/{id}/attach. A tty's stream has no frames.
"""

from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
SYSTEM: Final = 3
HEADER_SIZE: Final = 8


def encode_frame(stream: int, payload: bytes) -> bytes:
    return b"%c\0\0\0%b%b" % (stream, len(payload).to_bytes(4, "big"), payload)


class FrameDecoder:
    """Takes a stream apart as it arrives. Payloads are handed out as far as they are here: a frame may come in several pieces."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(stream, bytes) in order. Raises ValueError when this is no framed stream."""
        pieces = []
        position = 0
        while position < len(data):
            if not self._missing:
                position = self._read_header(data, position)
                continue
            piece = data[position : position + self._missing]
            position += len(piece)
            self._missing -= len(piece)
            pieces.append((self._stream, piece))
        return pieces

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream may end here."""
        return not self._missing and not self._header

    def _read_header(self, data: bytes, position: int) -> int:
        """Collects header bytes; returns the position behind them."""
        taken = data[position : position + HEADER_SIZE - len(self._header)]
        self._header += taken
        if len(self._header) == HEADER_SIZE:
            if self._header[0] > SYSTEM or self._header[1:4] != b"\0\0\0":
                raise ValueError(f"not a frame header: {self._header!r}")
            self._stream = self._header[0]
            self._missing = int.from_bytes(self._header[4:], "big")
            self._header = b""
        return position + len(taken)
