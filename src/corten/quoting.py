"""Text as Go's %q prints it: messages that clients know hold it."""

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def go_quoted(text: str) -> str:
    """Double quotes around; control characters escaped, printable ones as they are."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(c: str) -> str:
    return f"\\x{ord(c):02x}" if ord(c) < 128 else f"\\u{ord(c):04x}"
