"""Template text to tokens. The text between actions is a token of its own; `{{-` and `-}}` trim it."""

from typing import NamedTuple

SPACES = " \t\r\n"
KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"})


class TemplateSyntaxError(Exception):
    """The template cannot be parsed; the text is Go's sentence, without the place."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Token(NamedTuple):
    """`kind` is text, left, right, space, field, variable, identifier, number, string, char, bool or eof;

    a keyword or an operator is its own kind.
    """

    kind: str
    value: str
    offset: int

    def __str__(self) -> str:
        """As Go names a token in an error."""
        if self.kind == "eof":
            return "EOF"
        if self.kind in KEYWORDS or self.kind == ".":
            return f"<{self.value}>"
        from corten.quoting import go_quoted

        return go_quoted(self.value[:10]) + "..." if len(self.value) > 10 else go_quoted(self.value)


def tokens(text: str) -> list[Token]:
    """All tokens of `text`, ending in `eof`. Raises TemplateSyntaxError."""
    found: list[Token] = []
    offset, trim = 0, False
    while True:
        start = text.find("{{", offset)
        chunk = text[offset : len(text) if start < 0 else start]
        begin = offset + (len(chunk) - len(chunk.lstrip(SPACES)) if trim else 0)
        if start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in tuple(SPACES):
            chunk, inside = chunk.rstrip(SPACES), start + 3
        else:
            inside = start + 2
        if trim:
            chunk = chunk.lstrip(SPACES)
        if chunk:
            found.append(Token("text", chunk, begin))
        if start < 0:
            return [*found, Token("eof", "", len(text))]
        offset, trim = _action(text, start, inside, found)


def _action(text: str, start: int, inside: int, found: list[Token]) -> tuple[int, bool]:
    """Tokens of one action or comment; returns the offset behind it and whether the text there is to be trimmed."""
    body = inside
    while text[body : body + 1] in tuple(SPACES):
        body += 1
    if text.startswith("/*", inside if inside == start + 2 else body):
        return _comment(text, inside if inside == start + 2 else body)
    found.append(Token("left", "{{", start))
    lexer = _Lexer(text, inside, found)
    return lexer.run()


def _comment(text: str, offset: int) -> tuple[int, bool]:
    end = text.find("*/", offset)
    if end < 0:
        raise TemplateSyntaxError("unclosed comment", offset)
    for closing, trim in (("}}", False), *((s + "-}}", True) for s in SPACES)):
        if text.startswith(closing, end + 2):
            return end + 2 + len(closing), trim
    raise TemplateSyntaxError("comment ends before closing delimiter", end)


class _Lexer:
    """Inside one action."""

    def __init__(self, text: str, offset: int, found: list[Token]) -> None:
        self.text = text
        self.at = offset
        self.found = found
        self.parens = 0

    def run(self) -> tuple[int, bool]:
        text = self.text
        while True:
            if text.startswith("}}", self.at):
                return self._close(2, trim=False)
            if text[self.at : self.at + 1] in tuple(SPACES) and text.startswith("-}}", self.at + 1):
                return self._close(4, trim=True)
            if self.at >= len(text):
                raise TemplateSyntaxError("unclosed action", self.at)
            self._next(text[self.at])

    def _close(self, width: int, *, trim: bool) -> tuple[int, bool]:
        if self.parens:
            raise TemplateSyntaxError("unclosed left paren", self.at)
        self.found.append(Token("right", "}}", self.at))
        return self.at + width, trim

    def _emit(self, kind: str, end: int) -> None:
        self.found.append(Token(kind, self.text[self.at : end], self.at))
        self.at = end

    def _next(self, c: str) -> None:
        text, at = self.text, self.at
        if c in SPACES:
            self._spaces()
        elif text.startswith(":=", at):
            self._emit(":=", at + 2)
        elif c in "=|,()":
            self._paren(c)
            self._emit(c, at + 1)
        elif c in "\"`'":
            self._quoted(c)
        elif c in ".$":
            self._dotted(c)
        elif c.isalpha() or c == "_":
            self._word()
        elif c.isdigit() or c in "+-":
            self._number()
        elif c.isprintable() and c.isascii():
            self._emit("char-other", at + 1)
        else:
            raise TemplateSyntaxError(f"unrecognized character in action: U+{ord(c):04X}" + (f" '{c}'" if c.isprintable() else ""), at)

    def _spaces(self) -> None:
        end = self.at
        while end < len(self.text) and self.text[end] in SPACES:
            end += 1
        if self.text.startswith("-}}", end):
            end -= 1
            if end == self.at:
                return
        self._emit("space", end)

    def _paren(self, c: str) -> None:
        self.parens += {"(": 1, ")": -1}.get(c, 0)
        if self.parens < 0:
            raise TemplateSyntaxError("unexpected right paren", self.at)

    def _quoted(self, quote: str) -> None:
        names = {'"': ("string", "unterminated quoted string"), "`": ("string", "unterminated raw quoted string")}
        kind, complaint = names.get(quote, ("char", "unterminated character constant"))
        end = self.at + 1
        while end < len(self.text):
            c = self.text[end]
            if c == quote:
                self._emit(kind, end + 1)
                return
            if c == "\n" and quote != "`":
                break
            end += 2 if c == "\\" and quote != "`" else 1
        raise TemplateSyntaxError(complaint, self.at)

    def _dotted(self, c: str) -> None:
        """`.Field`, `.`, `$name`, `$`, or a number such as `.5`."""
        following = self.text[self.at + 1 : self.at + 2]
        if c == "." and following.isdigit():
            self._number()
            return
        end = self._word_end(self.at + 1)
        if end == self.at + 1 and c == ".":
            self._emit(".", end)
            return
        self._expect_end(end)
        self._emit("field" if c == "." else "variable", end)

    def _word(self) -> None:
        end = self._word_end(self.at)
        self._expect_end(end)
        word = self.text[self.at : end]
        self._emit(word if word in KEYWORDS else "bool" if word in {"true", "false"} else "identifier", end)

    def _word_end(self, at: int) -> int:
        while at < len(self.text) and (self.text[at].isalnum() or self.text[at] == "_"):
            at += 1
        return at

    def _expect_end(self, end: int) -> None:
        c = self.text[end : end + 1]
        if c and c not in SPACES + ".,|:=()" and not self.text.startswith("}}", end):
            raise TemplateSyntaxError(f"bad character U+{ord(c):04X} '{c}'", end)

    def _number(self) -> None:
        end = self.at + 1
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] in "._" or self._exponent_sign(end)):
            end += 1
        self._emit("number", end)

    def _exponent_sign(self, at: int) -> bool:
        return self.text[at] in "+-" and self.text[at - 1] in "eEpP"
