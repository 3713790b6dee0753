"""Help and usage, laid out as Docker's: two spaces after "Usage:", flags in a column, text wrapped beside it."""

import os
from collections.abc import Sequence

from corten.cli.commands import GROUPS, OPTIONS, Command, group_summary, members, top_level
from corten.cli.flags import Flag
from corten.cli.kinds import BOOL

WIDTH = 79
SLOP = 5
"""A line may be this much longer than its column when that saves a break (pflag)."""


def terminal_width() -> int:
    """Columns to wrap help at: the terminal's less one, 79 without a terminal."""
    try:
        return os.get_terminal_size(0).columns - 1
    except OSError:
        return WIDTH


def usage_lines(program: str, invoked: str, command: Command) -> str:
    """`Usage:  corten run [OPTIONS] IMAGE …`; further forms on lines of their own."""
    first, *more = command.usage.split("\n")
    lines = [f"Usage:  {program} {invoked} {first}".rstrip(), *(f"\t{program} {invoked} {form}" for form in more)]
    return "\n".join(lines)


def command_help(program: str, invoked: str, command: Command, flags: Sequence[Flag]) -> str:
    parts = [usage_lines(program, invoked, command), command.summary + (f"\n{command.details}" if command.details else "")]
    if len(command.names) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"{program} {name}" for name in command.names))
    if any(not f.hidden for f in flags):
        parts.append("Options:\n" + flag_table(flags, terminal_width()))
    return "\n\n".join(parts)


def group_help(program: str, group: str) -> str:
    rows = members(group)
    parts = [
        f"Usage:  {program} {group} COMMAND",
        group_summary(group),
        "Commands:\n" + _listing(rows),
        f"Run '{program} {group} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts)


def overview(program: str, global_flags: Sequence[Flag]) -> str:
    """What `corten` alone prints."""
    usual, others = top_level()
    parts = [
        f"Usage:  {program} {OPTIONS} COMMAND",
        "A container engine for machine-learning engineers",
        "Common Commands:\n" + _listing(usual),
        "Management Commands:\n" + _listing([(g, s) for g, s in GROUPS if s]),
        "Commands:\n" + _listing(others),
        "Docker's CLI plug-ins (compose, buildx) run too, where they are installed.",
        "Global Options:\n" + flag_table(global_flags, terminal_width()),
        f"Run '{program} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts)


def _listing(rows: Sequence[tuple[str, str]]) -> str:
    width = max(11, *(len(name) for name, _ in rows))
    return "\n".join(f"  {name:<{width}} {summary}" for name, summary in rows)


def flag_table(flags: Sequence[Flag], width: int) -> str:
    shown = [(_left(f), _right(f)) for f in sorted(flags, key=lambda f: f.name) if not f.hidden]
    column = max(len(left) for left, _ in shown) + 3
    return "\n".join(left.ljust(column) + wrapped(right, column, width) for left, right in shown)


def _left(flag: Flag) -> str:
    start = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    return f"{start} {flag.kind.name}" if flag.kind.name else start


def _right(flag: Flag) -> str:
    shown = flag_default(flag)
    return f"{flag.help} (default {shown})" if shown else flag.help


def flag_default(flag: Flag) -> str:
    """The default as help shows it; "" when it is the empty value of its kind."""
    default = flag.default
    if default is None or default in (False, 0, ""):
        return ""
    return f'"{default}"' if isinstance(default, str) else "true" if flag.kind is BOOL else str(default)


def wrapped(text: str, indent: int, width: int) -> str:
    """`text` broken for a column that starts at `indent` and ends at `width`; its own line breaks are kept."""
    room = width - indent
    if room < 24:
        return text.replace("\n", "\n" + " " * indent)
    lines = []
    line, rest = _break(text, room - SLOP)
    lines.append(line)
    while rest:
        line, rest = _break(rest, room - SLOP)
        lines.append(line.replace("\n", "\n" + " " * indent))
    return ("\n" + " " * indent).join(lines)


def _break(text: str, at: int) -> tuple[str, str]:
    """The text up to the last space before column `at`, and the rest; all of it when it nearly fits."""
    if at + SLOP > len(text):
        return text, ""
    space = max(text.rfind(c, 0, at) for c in " \t\n")
    if space <= 0:
        return text, ""
    newline = text.rfind("\n", 0, at)
    if 0 < newline < space:
        space = newline
    return text[:space], text[space + 1 :]
