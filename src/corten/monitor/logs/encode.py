"""Output to json-file entries: `{"log":"text\\n","stream":"stdout","time":"2026-..."}`, byte for byte what Docker writes.

A line (its newline included) of more than 16 KiB becomes several entries: every 16 KiB one without a newline, then the rest, all
with the time of the first. A last line without a newline is such an entry too.

Speed: a whole chunk is one `bytes.replace` of newlines by everything between two texts, after a check that nothing in it wants
escaping (248 MB/s of 100-byte lines on one core; a test on each line cut that to 64). The lines of a chunk share one time.
"""

import json

from corten.monitor.logs.timestamp import Clock

PIECE = 16384
"""The longest text of one entry, as Docker's copier has it."""

_HEAD = b'{"log":"'
_PLAIN = bytes(c for c in range(0x20, 0x80) if c not in b'"\\<>&') + b"\n"
_NOT_ASCII = bytes(range(0x80, 0x100))
_ESCAPES = {c: b"\\u%04x" % c for c in (*range(32), *b"<>&") if c not in b"\n"} | {0x22: b'\\"', 0x0D: b"\\r", 0x5C: b"\\\\"}
_LINE_SEPARATORS = [(b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029")]
_ASIDE = b"\x01"


def escape(text: bytes) -> bytes:
    """`text` as the inside of a JSON string by Go's rules (<, >, & too; undecodable bytes as \\ufffd each), newlines left as they are."""
    odd = text.translate(None, _PLAIN)
    if not odd:
        return text
    ascii_odd = odd.translate(None, _NOT_ASCII)
    is_ascii = len(ascii_odd) == len(odd)
    if 0x5C in ascii_odd:  # before the others bring more of them
        text = text.replace(b"\\", _ESCAPES[0x5C])
        ascii_odd = ascii_odd.translate(None, b"\\")
    while ascii_odd:
        found = ascii_odd[0]
        count = len(ascii_odd)
        ascii_odd = ascii_odd.translate(None, ascii_odd[:1])
        if count == len(text) and not ascii_odd:
            return _ESCAPES[found] * count  # nothing else in it: a file of zeros
        text = text.replace(bytes([found]), _ESCAPES[found])
    return text if is_ascii else _escape_unicode(text)


def _escape_unicode(text: bytes) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:
        # One call for all of them: a lone surrogate for each, encoded as a question mark, while the true ones are put aside as a
        # byte that cannot be here any more.
        decoded = text.replace(b"?", _ASIDE).decode("utf-8", "surrogateescape")
        text = decoded.encode("utf-8", "replace").replace(b"?", b"\\ufffd").replace(_ASIDE, b"?")
    for plain, escaped in _LINE_SEPARATORS:
        text = text.replace(plain, escaped)
    return text


def has_long_line(text: bytes, end: int) -> bool:
    """Whether a line in `text[:end]` (which ends in a newline) does not fit an entry. Hops from newline to newline 16 KiB apart."""
    at = 0
    while at < end:
        newline = text.rfind(b"\n", at, at + PIECE)
        if newline < 0:
            return True
        at = newline + 1
    return False


class Encoder:
    """One stream's entries. `partial_since` is the time of the first entry of a line that is not over, 0 at the start of a line."""

    __slots__ = ("_attrs", "_clock", "_stream", "partial_since")

    def __init__(self, stream: str, attrs: dict[str, str], partial_since: int = 0) -> None:
        self._stream = stream
        self._attrs = f'"attrs":{_go_json(attrs)},' if attrs else ""
        self._clock = Clock()
        self.partial_since = partial_since

    def encode(self, text: bytes, now: int, *, final: bool = False) -> tuple[list[bytes], int]:
        """(entries in parts to be written one after the other, bytes of `text` they stand for).

        What is left is the begin of a line: pass it again with what follows. `final`: nothing follows, so it becomes an entry too.
        """
        whole = text.rfind(b"\n") + 1
        if self.partial_since or has_long_line(text, whole):
            parts, at = self._by_line(text, whole, now)
        else:
            parts, at = self._at_once(text, whole, now), whole
        while len(text) - at >= PIECE or (final and at < len(text)):
            parts.append(self._piece(text[at : at + PIECE], now))
            at = min(at + PIECE, len(text))
        return parts, at

    def _at_once(self, text: bytes, whole: int, now: int) -> list[bytes]:
        if not whole:
            return []
        end = b"\\n" + self._tail(now)
        return [_HEAD, escape(text[: whole - 1]).replace(b"\n", end + _HEAD), end]

    def _by_line(self, text: bytes, whole: int, now: int) -> tuple[list[bytes], int]:
        parts = []
        at = 0
        while at < whole:
            newline = text.find(b"\n", at, at + PIECE)
            if newline < 0:
                parts.append(self._piece(text[at : at + PIECE], now))
                at += PIECE
                continue
            parts.append(_HEAD + escape(text[at:newline]) + b"\\n" + self._tail(self.partial_since or now))
            self.partial_since = 0
            at = newline + 1
        return parts, at

    def _piece(self, text: bytes, now: int) -> bytes:
        self.partial_since = self.partial_since or now
        return _HEAD + escape(text) + self._tail(self.partial_since)

    def _tail(self, ns: int) -> bytes:
        return f'","stream":"{self._stream}",{self._attrs}"time":"{self._clock.spell(ns)}"}}\n'.encode()


def _go_json(value: dict[str, str]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(plain, escaped)
    return text
