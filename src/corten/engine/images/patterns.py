"""Patterns of `--filter reference=`: Go's path.Match, in which `*` and `?` stop at a slash."""

import re

from corten.errors import Invalid


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Raises Invalid ("syntax error in pattern") as path.Match does."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        part, position = _next(pattern, position)
        parts.append(part)
    return re.compile("".join(parts), re.DOTALL)


def _next(pattern: str, position: int) -> tuple[str, int]:
    """One piece of pattern as a regular expression, and where the next begins."""
    character = pattern[position]
    if character == "*":
        return "[^/]*", position + 1
    if character == "?":
        return "[^/]", position + 1
    if character == "[":
        return _set(pattern, position + 1)
    literal, position = _literal(pattern, position)
    return re.escape(literal), position


def _literal(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position] == "\\":
        position += 1
    if position >= len(pattern):
        raise _syntax_error()
    return pattern[position], position + 1


def _set(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while pattern[position : position + 1] != "]" or not ranges:
        low, position = _member(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _member(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    inside = "".join(ranges)
    if not inside:
        return ("[^/]" if negated else "(?!)"), position + 1
    return (f"(?!/)[^{inside}]" if negated else f"(?!/)[{inside}]"), position + 1


def _member(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        raise _syntax_error()
    literal, position = _literal(pattern, position)
    if position >= len(pattern):
        raise _syntax_error()
    return literal, position


def _syntax_error() -> Invalid:
    return Invalid("syntax error in pattern", reason="bad-pattern")
