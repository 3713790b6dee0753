"""The detach keys: how they are spelled, and how they are found in what a terminal's client types."""

from corten.errors import Invalid

DEFAULT_KEYS = b"\x10\x11"  # ctrl-p ctrl-q

_CONTROL = {"ctrl-" + chr(code | 0x60 if 0 < code < 27 else code | 0x40): code for code in range(32)} | {"DEL": 127}


def parse_detach_keys(text: str) -> bytes:
    """The bytes of "ctrl-p,ctrl-q", "a,b", "ctrl-@", "DEL"; empty text means the default. Invalid in Docker's words otherwise."""
    if not text:
        return DEFAULT_KEYS
    codes = bytearray()
    for key in text.split(","):
        if key in _CONTROL:
            codes.append(_CONTROL[key])
        elif len(key.encode()) == 1:
            codes += key.encode()
        else:
            raise Invalid(f"Invalid detach keys ({text}) provided", reason="detach-keys", hint="letters and ctrl-LETTER, with commas")
    return bytes(codes)


class DetachScanner:
    """Lets typed bytes through but for the detach sequence, however the reads cut it; a false start comes out late, not lost."""

    __slots__ = ("_found", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._found = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(bytes for the process, detached). After a detach the rest of `data` is dropped."""
        if not self._keys or (not self._found and self._keys[0] not in data):
            return data, False
        held = self._keys[: self._found] + data
        at = held.find(self._keys)
        if at >= 0:
            return held[:at], True
        self._found = next(n for n in range(min(len(self._keys) - 1, len(held)), -1, -1) if held.endswith(self._keys[:n]))
        return held[: len(held) - self._found], False
