"""The key sequence that detaches a terminal from a container: `ctrl-p,ctrl-q` unless the user names another."""

from corten.quoting import go_quoted

DEFAULT_KEYS = b"\x10\x11"


def parse_keys(text: str) -> bytes:
    """`ctrl-<letter>` or a single character, joined by commas. Raises ValueError."""
    if not text:
        return DEFAULT_KEYS
    return bytes(_code(key) for key in text.split(","))


def _code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    letter = key.lower().removeprefix("ctrl-")
    if len(letter) == 1 and letter != key.lower():
        code = ord(letter)
        if 96 < code < 123:
            return code - 96
        if letter in "@[\\]^_":
            return code - 64
    raise ValueError(f"Unknown character: '{key}'" if key else f"Unknown character: {go_quoted(key)}")


class Detector:
    """Watches what is typed. Keys of a begun sequence are held back until it is finished or broken off."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence was completed; what is typed behind it is dropped."""
        if not self._matched and self._keys[:1] not in data:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(out), True
                continue
            out += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                out.append(byte)
        return bytes(out), False
