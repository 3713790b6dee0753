"""Go's literals in a template: numbers, quoted strings, characters."""

from corten.cli.template.lexer import TemplateSyntaxError, Token

ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
WIDTHS = {"x": 2, "u": 4, "U": 8}


def number_value(token: Token) -> int | float:
    """Decimal, 0x, 0o, 0b, leading-zero octal integers, floats; underscores as Go allows them. A float without fraction stays a float."""
    text = token.value
    digits = text.lstrip("+-")
    try:
        if len(digits) > 1 and digits[0] == "0" and digits.isdecimal():
            return int(text, 8)
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float.fromhex(text) if digits[:2].lower() == "0x" else float(text)
    except ValueError:
        from corten.quoting import go_quoted

        raise TemplateSyntaxError(f"bad number syntax: {go_quoted(text)}", token.offset) from None


def string_value(token: Token) -> str:
    """A string in double quotes (escapes read) or backquotes (as it is)."""
    text = token.value[1:-1]
    return text if token.value[0] == "`" or "\\" not in text else _unescaped(text, token)


def char_value(token: Token) -> int:
    text = token.value[1:-1]
    value = _unescaped(text, token) if "\\" in text else text
    if len(value) != 1:
        raise TemplateSyntaxError(f"malformed character constant: {token.value}", token.offset)
    return ord(value)


def _unescaped(text: str, token: Token) -> str:
    out = bytearray()
    i = 0
    while i < len(text):
        c = text[i]
        if c != "\\":
            out += c.encode("utf-8", "surrogateescape")
            i += 1
            continue
        piece, i = _escape(text, i + 1, token)
        out += piece
    return out.decode("utf-8", "replace")


def _escape(text: str, i: int, token: Token) -> tuple[bytes, int]:
    """The bytes of the escape whose letter is at `i`, and where the text goes on."""
    letter = text[i : i + 1]
    if letter in ESCAPES:
        return ESCAPES[letter].encode(), i + 1
    width = WIDTHS.get(letter, 0)
    digits = text[i + 1 : i + 1 + width] if width else text[i : i + 3]
    try:
        code = int(digits, 16 if width else 8)
        if len(digits) != (width or 3):
            raise ValueError
        piece = bytes([code]) if letter == "x" or not width else chr(code).encode()
    except ValueError:
        from corten.quoting import go_quoted

        raise TemplateSyntaxError(f"invalid syntax: {go_quoted(token.value)}", token.offset) from None
    return piece, i + 1 + width if width else i + 3
