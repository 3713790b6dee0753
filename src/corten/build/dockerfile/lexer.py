"""Dockerfile text to logical lines: parser directives, comments, continuations and heredocs.

# syntax=docker/dockerfile:1        directives: only at the very top, once each
RUN a && \\                          a continuation; comment lines inside one vanish
    b <<EOF                         heredocs follow their instruction
text
EOF
"""

import re
from dataclasses import dataclass, replace

from corten.build.dockerfile.errors import DockerfileError

DIRECTIVES = ("syntax", "escape", "check")
LARGEST = 2 << 20
LONGEST_LINE = 65535
"""As BuildKit."""
LONGEST_INSTRUCTION = 256 << 10
"""With its continuations; Linux starts no program with an argument of more than 128 KiB."""
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"(?<![<\w])(\d*)<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_.]*)\3(?![\w\"'])")
HEREDOC_KEYWORDS = frozenset({"RUN", "COPY", "ADD"})


@dataclass(frozen=True, slots=True)
class Heredoc:
    """`expand` is False when the word was quoted. `content` keeps its last newline; `<<-` has lost its leading tabs."""

    name: str
    content: str
    expand: bool
    chomp: bool
    file_descriptor: int = 0


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One instruction as written: continuations joined, comments gone. `start` and `end` are 1-based source lines."""

    text: str
    start: int
    end: int
    heredocs: tuple[Heredoc, ...] = ()
    comment: str = ""  # the comment block right above, for descriptions
    empty_continuation: bool = False


@dataclass(frozen=True, slots=True)
class SourceText:
    lines: tuple[LogicalLine, ...]
    directives: dict[str, str]
    escape: str = "\\"


def lex(text: str) -> SourceText:
    """Raises DockerfileError for a bad or repeated directive, an open heredoc, and what is too large."""
    if len(text) > LARGEST:
        raise DockerfileError(f"the Dockerfile is larger than {LARGEST >> 20} MiB", line=1)
    raw = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if (long := next((number for number, line in enumerate(raw, 1) if len(line) > LONGEST_LINE), 0)) > 0:
        raise DockerfileError(f"dockerfile line greater than maximum allowed size of {LONGEST_LINE}", line=long, plain=True)
    directives, first = _directives(raw)
    escape = directives.get("escape", "\\")
    if escape not in ("\\", "`"):
        raise DockerfileError(f"invalid escape token '{escape}' does not match ` or \\", line=0, plain=True)
    return SourceText(tuple(_Lexer(raw, escape).run(first)), directives, escape)


def lex_trigger(text: str, start: int, end: int) -> LogicalLine:
    """An ONBUILD trigger as a base image keeps it: one instruction, its heredocs in the lines below. It is said to stand at these lines."""
    line = _Lexer(text.split("\n"), "\\").run(0)
    if len(line) != 1:
        raise DockerfileError(f"the base image has an ONBUILD trigger that is not an instruction: {text[:80]!r}", line=start, end=end)
    return replace(line[0], start=start, end=end)


def _directives(raw: list[str]) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    number = 0
    if raw and raw[0].startswith("#!"):
        number = 1
    while number < len(raw):
        match = _DIRECTIVE.fullmatch(raw[number].strip())
        if not match or match[1].lower() not in DIRECTIVES:
            break
        key = match[1].lower()
        if key in found:
            raise DockerfileError(f"only one {key} parser directive can be used", line=number, plain=True)
        found[key] = match[2]
        number += 1
    return found, number


class _Lexer:
    def __init__(self, raw: list[str], escape: str) -> None:
        self._raw = raw
        self._number = 0
        self._continued = re.compile(rf"([^{re.escape(escape)}]|^){re.escape(escape)}[ \t]*$")

    def run(self, first: int) -> list[LogicalLine]:
        self._number = first
        found: list[LogicalLine] = []
        comment: list[str] = []
        while self._number < len(self._raw):
            text = self._raw[self._number].strip()
            if not text:
                comment = []
                self._number += 1
            elif text.startswith("#"):
                comment.append(text[1:].strip())
                self._number += 1
            else:
                found.append(self._instruction("\n".join(comment)))
                comment = []
        return found

    def _instruction(self, comment: str) -> LogicalLine:
        start = self._number
        pieces: list[str] = []
        empty = False
        while self._number < len(self._raw):
            line = self._raw[self._number]
            self._number += 1
            stripped = line.strip()
            if pieces and (not stripped or stripped.startswith("#")):
                empty = empty or (not stripped and self._number < len(self._raw))
                continue
            if not pieces:
                line = line.lstrip()
            if not self._continued.search(line):
                pieces.append(line)
                break
            pieces.append(self._continued.sub(r"\1", line))
        text = "".join(pieces).rstrip()
        if len(text) > LONGEST_INSTRUCTION:
            raise DockerfileError(f"an instruction is longer than {LONGEST_INSTRUCTION >> 10} KiB", line=start + 1, end=self._number)
        end = self._number
        heredocs = self._heredocs(text, start + 1)
        return LogicalLine(text, start + 1, self._number if heredocs else end, heredocs, comment, empty)

    def _heredocs(self, text: str, line: int) -> tuple[Heredoc, ...]:
        keyword, _, rest = text.partition(" ")
        if keyword.upper() == "ONBUILD":
            keyword = rest.strip().partition(" ")[0]
        if keyword.upper() not in HEREDOC_KEYWORDS:
            return ()
        return tuple(self._heredoc(m, line) for m in find_heredocs(text))

    def _heredoc(self, match: re.Match[str], line: int) -> Heredoc:
        chomp, name = bool(match[2]), match[4]
        content: list[str] = []
        while self._number < len(self._raw):
            text = self._raw[self._number]
            self._number += 1
            if chomp:
                text = text.lstrip("\t")
            if text == name:
                return Heredoc(name, "".join(f"{c}\n" for c in content), not match[3], chomp, int(match[1] or 0))
            content.append(text)
        last = len(self._raw) - (not self._raw[-1])
        raise DockerfileError("unterminated heredoc", line=line, end=last, hint=f"no line holds only {name}", plain=True)


def find_heredocs(text: str) -> list[re.Match[str]]:
    """`<<WORD` marks outside quotes."""
    quoted = _quoted_spans(text)
    return [m for m in _HEREDOC.finditer(text) if not any(a <= m.start() < b for a, b in quoted)]


def without_heredoc_marks(text: str) -> str:
    out, at = [], 0
    for match in find_heredocs(text):
        out.append(text[at : match.start()])
        at = match.end()
    return "".join([*out, text[at:]])


def _quoted_spans(text: str) -> list[tuple[int, int]]:
    spans, open_at, quote, i = [], 0, "", 0
    while i < len(text):
        c = text[i]
        if c == "\\" and quote != "'":
            i += 2
            continue
        if quote and c == quote:
            spans.append((open_at, i))
            quote = ""
        elif not quote and c in "\"'" and not text[max(0, i - 3) : i].rstrip("-").endswith("<<"):
            quote, open_at = c, i
        i += 1
    return spans
