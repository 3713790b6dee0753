"""Docker's multiplexed stream: before each piece one byte of stream number (1 stdout, 2 stderr), three zeros, the length big-endian."""

import struct

STDOUT = 1
STDERR = 2

_HEADER = struct.Struct(">BxxxL")


def frame_header(stream: int, length: int) -> bytes:
    return _HEADER.pack(stream, length)


class FrameHeaders(dict[int, bytes]):
    """One stream's headers by length, with `extra` bytes added: a log's lines repeat their lengths, a look-up costs half of a pack."""

    def __init__(self, stream: int, extra: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._extra = extra

    def __missing__(self, length: int) -> bytes:
        header = _HEADER.pack(self._stream, length + self._extra)
        if len(self) < 4096:
            self[length] = header
        return header
