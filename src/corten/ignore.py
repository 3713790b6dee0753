"""`.dockerignore` patterns: Go's filepath.Match with `**`, anchored at the context's root, `!` takes back, the last match wins.

A pattern that matches a folder also matches everything below it. Pure text: callers pass slash-separated relative paths.
"""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from corten.errors import Invalid


def parse_ignore_file(text: str) -> list[str]:
    """The patterns of a `.dockerignore`, cleaned as Docker cleans them: comments, blank lines and a byte-order mark dropped."""
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if not pattern:
            continue
        negated = pattern.startswith("!")
        body = pattern[1:].strip() if negated else pattern
        if body:
            body = posixpath.normpath(body).lstrip("/") or "."
        found.append(f"!{body}" if negated else body)
    return found


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    negated: bool
    literal_parts: tuple[str, ...]  # leading parts without wildcards, to decide whether a folder can hold a match


class IgnoreRules:
    """Patterns, compiled. Raises Invalid for one that cannot be read."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_compiled(p) for p in patterns if p not in ("", ".", "!")]
        self._takes_back = any(p.negated for p in self._patterns)

    def ignores(self, path: str) -> bool:
        """Whether the file or folder at `path` is left out."""
        parents = _self_and_parents(path)
        ignored = False
        for pattern in self._patterns:
            if pattern.negated == ignored and any(pattern.regex.fullmatch(p) for p in parents):
                ignored = not pattern.negated
        return ignored

    def prunes(self, folder: str) -> bool:
        """Whether nothing below an ignored `folder` can be taken back, so that it need not be walked."""
        if not self.ignores(folder):
            return False
        if not self._takes_back:
            return True
        parts = tuple(folder.split("/"))
        return not any(p.negated and _may_be_below(p.literal_parts, parts) for p in self._patterns)


def _self_and_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def _may_be_below(literal: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    shared = min(len(literal), len(folder))
    return literal[:shared] == folder[:shared]


def _compiled(pattern: str) -> _Pattern:
    negated = pattern.startswith("!")
    body = pattern[1:] if negated else pattern
    literal = []
    for part in body.split("/"):
        if any(c in part for c in "*?[\\"):
            break
        literal.append(part)
    try:
        regex = re.compile(pattern_to_regex(body), re.DOTALL)
    except re.error as error:
        raise Invalid(f"error from .dockerignore: syntax error in pattern {body!r}", reason="bad-ignore-pattern") from error
    return _Pattern(regex, negated, tuple(literal))


def pattern_to_regex(pattern: str) -> str:
    """A regular expression (for fullmatch) of a Go filepath.Match pattern with `**`."""
    out, i = [], 0
    while i < len(pattern):
        c = pattern[i]
        if pattern.startswith("**", i):
            while pattern.startswith("*", i):
                i += 1
            if pattern.startswith("/", i):
                out.append("(?:.*/)?")
                i += 1
            else:
                out.append(".*")
            continue
        if c == "*":
            out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        elif c == "[":
            text, i = _character_class(pattern, i)
            out.append(text)
            continue
        elif c == "\\":
            i += 1
            if i == len(pattern):
                raise Invalid(f"error from .dockerignore: syntax error in pattern {pattern!r}", reason="bad-ignore-pattern")
            out.append(re.escape(pattern[i]))
        else:
            out.append(re.escape(c))
        i += 1
    return "".join(out)


def _character_class(pattern: str, start: int) -> tuple[str, int]:
    i = start + 1
    negated = pattern.startswith("^", i)
    i += negated
    members: list[str] = []
    while i < len(pattern) and (pattern[i] != "]" or not members):
        if pattern[i] == "\\" and i + 1 < len(pattern):
            i += 1
        members.append("-" if pattern[i] == "-" and members else re.escape(pattern[i]))
        i += 1
    if i >= len(pattern):
        raise Invalid(f"error from .dockerignore: syntax error in pattern {pattern!r}", reason="bad-ignore-pattern")
    return f"[{'^/' if negated else ''}{''.join(members)}]", i + 1
