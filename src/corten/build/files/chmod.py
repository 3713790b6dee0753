"""`--chmod`: octal ("755", "0644") or symbolic ("u=rwX,go=rX", "+x") as chmod(1) has it, without umask."""

import re
from dataclasses import dataclass

from corten.errors import Invalid

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}


@dataclass(frozen=True, slots=True)
class ModeChange:
    """`apply` gives the new permission bits (0o7777) of a file."""

    octal: int | None
    clauses: tuple[tuple[str, str, str], ...] = ()  # who, operator, permissions

    def apply(self, mode: int, *, is_directory: bool) -> int:
        if self.octal is not None:
            return self.octal
        for who, operator, permissions in self.clauses:
            mode = _applied(mode, who or "a", operator, permissions, is_directory)
        return mode


def parse_mode(text: str) -> ModeChange:
    """Raises Invalid."""
    if re.fullmatch(r"[0-7]{1,5}", text):
        value = int(text, 8)
        if value <= 0o7777:
            return ModeChange(value)
    clauses: list[tuple[str, str, str]] = []
    for part in text.split(","):
        match = _CLAUSE.fullmatch(part)
        if not match:
            raise Invalid(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777", reason="bad-chmod")
        clauses += [(match[1], operator, permissions) for operator, permissions in _ACTION.findall(match[2])]
    return ModeChange(None, tuple(clauses))


def _applied(mode: int, who: str, operator: str, permissions: str, is_directory: bool) -> int:
    mask = 0
    for letter in who:
        mask |= 0o7777 if letter == "a" else _WHO[letter]
    bits = 0
    for letter in permissions:
        if letter in _BITS:
            bits |= _BITS[letter] & mask
        elif letter == "X":
            bits |= 0o111 & mask if is_directory or mode & 0o111 else 0
        elif letter == "s":
            bits |= 0o6000 & mask
        elif letter == "t":
            bits |= 0o1000
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    keep = 0o7777 & ~(mask & 0o777 | (0o6000 & mask if not is_directory else 0))
    return mode & keep | bits
