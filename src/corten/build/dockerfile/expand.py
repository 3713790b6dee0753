"""Variable replacement and word splitting, as Dockerfiles have them (a small part of a shell's).

`$name`, `${name}` and the modifiers `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`. Single quotes keep their text, double
quotes expand, the escape character protects one character. A variable that is not set becomes empty and is reported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from corten.errors import Invalid
from corten.quoting import go_quoted

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r"[@*#?\-$!0-9]")
_SHOWN = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
LARGEST_WORD: Final = 1 << 20
"""Characters that variables may put into one word. Linux starts no program with a variable of more than 128 KiB."""
LARGEST_SEARCHED: Final = 16 << 10
DEEPEST: Final = 50
_MODIFIERS = (":-", ":+", ":?", "##", "%%", "//", "-", "+", "?", "#", "%", "/")


@dataclass(slots=True)
class Expander:
    """Expands against `values`. `unknown` collects the names that were not set (for the UndefinedVar check)."""

    values: Mapping[str, str]
    escape: str = "\\"
    unknown: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    _spent: int = 0
    _depth: int = 0

    def word(self, text: str) -> str:
        """One word: quotes and escapes removed, variables replaced. Raises Invalid, which names the word."""
        self._spent = 0
        try:
            return self._word(text)
        except Invalid as error:
            raise Invalid(f"failed to process {go_quoted(text)}: {error.message}", reason=error.reason, hint=error.hint) from None

    def shown(self, text: str) -> str:
        """An instruction for people: variables that are set replaced, all else as it is written."""
        return _SHOWN.sub(lambda m: self.values.get(m[1] or m[2], m[0]), text)

    def words(self, text: str) -> list[str]:
        """Split at unquoted white space after replacement."""
        self._spent = 0
        found: list[str] = []
        current: str | None = None
        for piece, splits in self._pieces(text):
            if not splits:
                current = (current or "") + piece
                continue
            parts = re.split(r"(\s+)", piece)
            for part in parts:
                if part and not part.strip():
                    if current is not None:
                        found.append(current)
                    current = None
                elif part:
                    current = (current or "") + part
        return [*found, current] if current is not None else found

    def keeping_quotes(self, text: str) -> str:
        """Variables replaced, quotes and escapes left as they are: for heredoc bodies."""
        self._spent = 0
        out, i = [], 0
        while i < len(text):
            if text[i] == self.escape and i + 1 < len(text) and text[i + 1] in f"${self.escape}":
                out.append(text[i + 1])
                i += 2
            elif text[i] == "$":
                value, i = self._dollar(text, i)
                out.append(value)
            else:
                out.append(text[i])
                i += 1
        return "".join(out)

    def _word(self, text: str) -> str:
        return "".join(piece for piece, _ in self._pieces(text))

    def _pattern(self, text: str) -> str:
        """A word whose escapes stay for the pattern."""
        return self._word(re.sub(r"\\(.)", r"\\\\\1", text) if self.escape == "\\" else text)

    def _pieces(self, text: str) -> list[tuple[str, bool]]:
        out: list[tuple[str, bool]] = []
        i = 0
        while i < len(text):
            c = text[i]
            if c == "'":
                end = text.find("'", i + 1)
                if end < 0:
                    raise Invalid("unexpected end of statement while looking for matching single-quote", reason="dockerfile-quote")
                out.append((text[i + 1 : end], False))
                i = end + 1
            elif c == '"':
                piece, i = self._double(text, i + 1)
                out.append((piece, False))
            elif c == self.escape:
                out.append((text[i + 1 : i + 2], False))
                i += 2
            elif c == "$":
                piece, i = self._dollar(text, i)
                out.append((piece, True))
            else:
                out.append((c, True))
                i += 1
        return out

    def _double(self, text: str, i: int) -> tuple[str, int]:
        out: list[str] = []
        while i < len(text):
            c = text[i]
            if c == '"':
                return "".join(out), i + 1
            if c == self.escape and i + 1 < len(text) and text[i + 1] in f'"${self.escape}':
                out.append(text[i + 1])
                i += 2
            elif c == "$":
                piece, i = self._dollar(text, i)
                out.append(piece)
            else:
                out.append(c)
                i += 1
        raise Invalid("unexpected end of statement while looking for matching double-quote", reason="dockerfile-quote")

    def _dollar(self, text: str, i: int) -> tuple[str, int]:
        if text.startswith("${", i):
            return self._braced(text, i + 2)
        match = _NAME.match(text, i + 1) or _SPECIAL.match(text, i + 1)
        if not match:
            return "$", i + 1
        return self._value(match[0]) or "", match.end()

    def _braced(self, text: str, i: int) -> tuple[str, int]:
        match = _NAME.match(text, i) or _SPECIAL.match(text, i)
        if not match:
            raise Invalid(f"bad substitution in {text!r}", reason="dockerfile-substitution")
        name, i = match[0], match.end()
        if text.startswith("}", i):
            return self._value(name) or "", i + 1
        if i == len(text):
            raise Invalid("syntax error: missing '}' in substitution", reason="dockerfile-substitution")
        modifier = next((m for m in _MODIFIERS if text.startswith(m, i)), None)
        if modifier is None:
            self.used.add(name)
            raise Invalid(
                f"unsupported modifier ({text[i : i + 1 + text.startswith(':', i)]}) in substitution", reason="dockerfile-substitution"
            )
        i += len(modifier)
        end = self._closing_brace(text, i)
        if self._depth >= DEEPEST:
            raise Invalid(f"substitutions are nested more than {DEEPEST} deep", reason="dockerfile-substitution")
        self._depth += 1
        try:
            return self._modified(name, modifier, text[i:end]), end + 1
        finally:
            self._depth -= 1

    def _closing_brace(self, text: str, i: int) -> int:
        depth = 1
        while i < len(text):
            if text[i] == self.escape:
                i += 1
            elif text.startswith("${", i):
                depth += 1
                i += 1
            elif text[i] == "}":
                depth -= 1
                if not depth:
                    return i
            i += 1
        raise Invalid("syntax error: missing '}' in substitution", reason="dockerfile-substitution")

    def _modified(self, name: str, modifier: str, operand: str) -> str:
        value = self._value(name, quiet=modifier in (":-", "-", ":+", "+", ":?", "?"))
        missing = not value if modifier.startswith(":") else value is None
        match modifier[-1] if modifier[0] == ":" else modifier:
            case "-":
                return self._word(operand) if missing else value or ""
            case "+":
                return "" if missing else self._word(operand)
            case "?":
                if missing:
                    raise Invalid(f"{name}: {self._word(operand) or 'is not allowed to be unset'}", reason="dockerfile-unset")
                return value or ""
            case "#" | "##":
                return _without_prefix(value or "", self._pattern(operand), longest=modifier == "##")
            case "%" | "%%":
                return _without_suffix(value or "", self._pattern(operand), longest=modifier == "%%")
        pattern, _, replacement = _split_slash(operand)
        if len(value or "") > LARGEST_SEARCHED:
            raise Invalid(f"a pattern is looked for in at most {LARGEST_SEARCHED >> 10} KiB", reason="variables-size")
        regex = re.compile(glob_to_regex(self._pattern(pattern)), re.DOTALL)
        text = self._word(replacement)

        def put(_: re.Match[str]) -> str:
            self._spend(len(text))
            return text

        return regex.sub(put, value or "", count=0 if modifier == "//" else 1)

    def _value(self, name: str, *, quiet: bool = False) -> str | None:
        self.used.add(name)
        value = self.values.get(name)
        if value is None and not quiet:
            self.unknown.add(name)
        self._spend(len(value or ""))
        return value

    def _spend(self, size: int) -> None:
        self._spent += size
        if self._spent > LARGEST_WORD:
            raise Invalid(f"variables make it longer than {LARGEST_WORD >> 20} MiB", reason="variables-size")


def glob_to_regex(pattern: str, *, shortest: bool = False) -> str:
    """A shell pattern of `*`, `?` and backslash escapes as a regular expression, which never goes back over what a `*` has found.

    The earliest place for what follows a `*` is as good as any later one, save for the last `*`, which `shortest` makes short.
    """
    return _regex(_parts(pattern), shortest=shortest)


def _parts(pattern: str) -> list[list[str]]:
    """What stands between the `*`, each a list of expressions for one character."""
    parts: list[list[str]] = [[]]
    i = 0
    while i < len(pattern):
        c = pattern[i]
        if c == "\\" and i + 1 < len(pattern):
            i += 1
            parts[-1].append(re.escape(pattern[i]))
        elif c == "*":
            parts.append([])
        else:
            parts[-1].append("." if c == "?" else re.escape(c))
        i += 1
    return parts


def _regex(parts: list[list[str]], *, shortest: bool) -> str:
    first, *rest = ("".join(part) for part in parts)
    if not rest:
        return first
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + (".*?" if shortest else ".*") + rest[-1]


def _without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    match = re.match(glob_to_regex(pattern, shortest=not longest), value, re.DOTALL)
    return value[match.end() :] if match else value


def _without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """As a prefix, backwards."""
    parts = [part[::-1] for part in reversed(_parts(pattern))]
    match = re.match(_regex(parts, shortest=not longest), value[::-1], re.DOTALL)
    return value[: len(value) - match.end()] if match else value


def _split_slash(operand: str) -> tuple[str, str, str]:
    i = 0
    while i < len(operand):
        if operand[i] == "\\":
            i += 1
        elif operand[i] == "/":
            return operand[:i], "/", operand[i + 1 :]
        i += 1
    return operand, "", ""
