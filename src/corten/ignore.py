"""`.dockerignore` patterns: Go's filepath.Match with `**`, anchored at the context's root, `!` takes back, the last match wins.

A pattern that matches a folder also matches everything below it. Pure text: callers pass slash-separated relative paths.
"""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from corten.errors import Invalid

MOST_PATTERNS: Final = 10_000
"""Each is tried on every file."""
MOST_SEARCHED: Final = 10


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
        wanted = [p for p in patterns if p not in ("", ".", "!")]
        if len(wanted) > MOST_PATTERNS:
            raise Invalid(
                f"{len(wanted)} patterns leave files out of the context: the limit is {MOST_PATTERNS}", reason="bad-ignore-pattern"
            )
        self._patterns = [_compiled(p) for p in wanted]
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
    """A regular expression (for fullmatch) of a Go filepath.Match pattern with `**`.

    It never goes back over what a wildcard has found, except for the last one of its kind: the earliest place for what follows is as
    good as a later one. So a pattern full of stars costs no more than a long one.
    """
    blocks: list[list[str]] = [[""]]  # what stands between the `**`, cut at each `*`
    crossings: list[str] = []  # the `**`
    i = 0
    while i < len(pattern):
        if pattern.startswith("**", i):
            while pattern.startswith("*", i):
                i += 1
            is_whole = pattern.startswith("/", i)
            i += is_whole
            crossings.append("/" if is_whole else "")
            blocks.append([""])
        elif pattern[i] == "*":
            blocks[-1].append("")
            i += 1
        else:
            text, i = _character(pattern, i)
            blocks[-1][-1] += text
    if any(_is_odd(*pair) for pair in zip(blocks, crossings, strict=False)):
        return _searching(blocks, crossings, pattern)
    found = _block(blocks[0], is_last=not crossings)
    for number, (crossing, block) in enumerate(zip(crossings, blocks[1:], strict=True), 1):
        is_last = number == len(crossings)
        over = ("(?:.*/)?" if is_last else "(?:.*?/)??") if crossing else ".*" if is_last else ".*?"
        inner = over + _block(block, is_last=is_last)
        found += inner if is_last else f"(?>{inner})"
    return found


def _is_odd(block: list[str], crossing: str) -> bool:
    """A `**/` in the middle of a name, as in `a**/b`: it is nothing or ends with a slash, so that the earliest place may not be as good."""
    return bool(crossing) and block != [""] and not block[-1].endswith("/")


def _searching(blocks: list[list[str]], crossings: list[str], pattern: str) -> str:
    """Every place is tried, which few wildcards can be afforded for."""
    if sum(map(len, blocks)) > MOST_SEARCHED:
        raise Invalid(f"error from .dockerignore: too many wildcards in pattern {pattern!r}", reason="bad-ignore-pattern")
    texts = ["[^/]*".join(block) for block in blocks]
    return texts[0] + "".join(("(?:.*/)?" if c else ".*") + text for c, text in zip(crossings, texts[1:], strict=True))


def _block(parts: list[str], *, is_last: bool) -> str:
    first, *rest = parts
    loose = rest[-1:] if is_last else []
    return first + "".join(f"(?>[^/]*?{part})" for part in rest[: len(rest) - len(loose)]) + "".join(f"[^/]*{part}" for part in loose)


def _character(pattern: str, i: int) -> tuple[str, int]:
    """The expression for what stands at `i`, which is no star, and where it ends."""
    c = pattern[i]
    if c == "[":
        return _character_class(pattern, i)
    if c == "\\":
        i += 1
        if i == len(pattern):
            raise Invalid(f"error from .dockerignore: syntax error in pattern {pattern!r}", reason="bad-ignore-pattern")
        return re.escape(pattern[i]), i + 1
    return "[^/]" if c == "?" else re.escape(c), i + 1


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
