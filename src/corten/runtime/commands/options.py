"""Command lines as runc and crun take them: `--name value`, `--name=value`, `-n value`, flags, options before arguments.

A table per command, no argparse: an OCI runtime is started several times per container, and argparse costs 6 ms each time.
"""

from typing import NamedTuple

from corten.errors import Invalid


class Option(NamedTuple):
    """`value` False makes it a flag. `many` collects. An `ignored` one is taken for the sake of who passes it."""

    name: str
    short: str = ""
    value: bool = True
    many: bool = False
    ignored: bool = False
    help: str = ""


class Parsed:
    """What was given. `arguments` are the words that are no options."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.arguments: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def has(self, name: str) -> bool:
        return name in self.values and self.values[name][-1] != "false"

    def number(self, name: str) -> int | None:
        if name not in self.values:
            return None
        try:
            return int(self.text(name))
        except ValueError:
            raise Invalid(f"--{name}: {self.text(name)!r} is not a number", reason="bad-option") from None


def parse(words: list[str], options: tuple[Option, ...]) -> Parsed:
    """Options end at the first other word, or at `--`: what follows may be a command with options of its own."""
    by_name = {name: option for option in options for name in (option.name, option.short) if name}
    parsed, rest = Parsed(), list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        _take(word, rest, by_name, parsed)
    parsed.arguments = rest
    return parsed


def parse_mixed(words: list[str], options: tuple[Option, ...]) -> Parsed:
    """As `parse`, but options may also follow arguments (`kill ID KILL --all`)."""
    parsed = parse(words, options)
    arguments: list[str] = []
    while parsed.arguments:
        arguments.append(parsed.arguments[0])
        more = parse(parsed.arguments[1:], options)
        for name, values in more.values.items():
            parsed.values.setdefault(name, []).extend(values)
        parsed.arguments = more.arguments
    parsed.arguments = arguments
    return parsed


def _take(word: str, rest: list[str], by_name: dict[str, Option], parsed: Parsed) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    option = by_name.get(name)
    if option is None and not word.startswith("--") and len(name) > 1:  # -it, -eA=B
        _take_cluster(word[1:], rest, by_name, parsed)
        return
    if option is None:
        raise Invalid(f"unknown option {word.partition('=')[0]}", reason="bad-option", hint="see --help")
    if not option.value:
        value = value or "true"
    elif not equals:
        if not rest:
            raise Invalid(f"option {word} wants a value", reason="bad-option")
        value = rest.pop(0)
    parsed.values.setdefault(option.name, []).append(value)


def _take_cluster(letters: str, rest: list[str], by_name: dict[str, Option], parsed: Parsed) -> None:
    option = by_name.get(letters[0])
    if option is None:
        raise Invalid(f"unknown option -{letters}", reason="bad-option", hint="see --help")
    if option.value:
        _take(f"-{letters[0]}={letters[1:].removeprefix('=')}" if len(letters) > 1 else f"-{letters}", rest, by_name, parsed)
        return
    parsed.values.setdefault(option.name, []).append("true")
    if letters[1:]:
        _take_cluster(letters[1:], rest, by_name, parsed)
