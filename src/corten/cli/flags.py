"""Flags as the shell gives them to us: a declaration, a parser, the values.

The rules and the sentences are pflag's, since scripts and people meet them in Docker's CLI: `--name value`, `--name=value`, `-n value`,
`-n=value`, `-nvalue`, joined short flags (`-it`), `--` ends the flags; a command that runs another one stops at its first argument.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.kinds import BOOL, Kind
from corten.quoting import go_quoted


class FlagError(Exception):
    """What is wrong with the command line, in pflag's words."""


class Flag:
    """One flag. `refusal` is the sentence for a flag that Docker has and we know but cannot serve."""

    __slots__ = ("alias_of", "default", "help", "hidden", "kind", "name", "refusal", "short")

    def __init__(self, name: str, kind: Kind, help: str = "", *, short: str = "", default: Any = None, refusal: str = "") -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.short = short
        self.default = default
        self.refusal = refusal
        self.hidden = False
        self.alias_of = ""

    def hide(self, alias_of: str = "") -> "Flag":
        """Out of the help; with `alias_of` an old name whose use prints a notice."""
        self.hidden, self.alias_of = True, alias_of
        return self

    def title(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


HELP = Flag("help", BOOL, "Print usage", short="h").hide()


class Values:
    """What the flags say. Reading an undeclared name is a bug and raises KeyError."""

    __slots__ = ("_declared", "_given")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._declared = {f.name: f for f in flags}
        self._given: dict[str, Any] = {}

    def record(self, flag: Flag, value: Any) -> None:
        if flag.kind.repeats:
            self._given.setdefault(flag.name, []).append(value)
        else:
            self._given[flag.name] = value

    def given(self, *names: str) -> bool:
        return any(n in self._given for n in names)

    def one(self, name: str) -> Any:
        flag = self._declared[name]
        return self._given.get(name, flag.kind.zero if flag.default is None else flag.default)

    def text(self, name: str) -> str:
        return str(self.one(name))

    def on(self, name: str) -> bool:
        return bool(self.one(name))

    def number(self, name: str) -> int:
        return int(self.one(name))

    def items(self, name: str) -> list[Any]:
        assert self._declared[name].kind.repeats, name
        return list(self._given.get(name, ()))

    def texts(self, name: str) -> list[str]:
        """All values of a repeatable flag; comma-separated ones are taken apart."""
        return [t for v in self.items(name) for t in (v if isinstance(v, list) else [v])]


class Parser:
    """Takes arguments apart by `flags`. `interspersed`: flags may also stand behind arguments."""

    def __init__(self, flags: Sequence[Flag], *, interspersed: bool = True) -> None:
        self._flags = (HELP, *flags)
        self._by_name: Mapping[str, Flag] = {f.name: f for f in self._flags}
        self._by_short: Mapping[str, Flag] = {f.short: f for f in self._flags if f.short}
        self._interspersed = interspersed
        self.notices: list[str] = []

    def parse(self, words: Sequence[str]) -> tuple[Values, list[str]]:
        """The values and the arguments that are no flags."""
        values, arguments, rest = Values(self._flags), list[str](), list(words)
        rest.reverse()
        while rest:
            word = rest.pop()
            if word == "--":
                return values, [*arguments, *reversed(rest)]
            if len(word) < 2 or word[0] != "-":
                arguments.append(word)
                if not self._interspersed:
                    return values, [*arguments, *reversed(rest)]
            elif word.startswith("--"):
                self._long(word, rest, values)
            else:
                self._shorts(word, rest, values)
        return values, arguments

    def _long(self, word: str, rest: list[str], values: Values) -> None:
        name, equals, text = word[2:].partition("=")
        if not name or name[0] == "-":
            raise FlagError(f"bad flag syntax: {word}")
        flag = self._by_name.get(name)
        if flag is None:
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            if not flag.kind.implied and not rest:
                raise FlagError(f"flag needs an argument: --{name}")
            text = flag.kind.implied or rest.pop()
        self._record(flag, text, values)

    def _shorts(self, word: str, rest: list[str], values: Values) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._by_short.get(letter)
            if flag is None:
                raise FlagError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            if letters[:1] == "=" and len(letters) > 1:
                text, letters = letters[1:], ""
            elif flag.kind.implied:
                text = flag.kind.implied
            elif letters:
                text, letters = letters, ""
            elif rest:
                text = rest.pop()
            else:
                raise FlagError(f"flag needs an argument: '{letter}' in -{letter}")
            if flag is HELP:
                self.notices.append("Flag shorthand -h has been deprecated, use --help")
            self._record(flag, text, values)

    def _record(self, flag: Flag, text: str, values: Values) -> None:
        try:
            value = flag.kind.parse(text)
        except ValueError as error:
            raise FlagError(f"invalid argument {go_quoted(text)} for {go_quoted(flag.title())} flag: {error}") from None
        if flag.refusal:
            raise FlagError(f"--{flag.name}: {flag.refusal}")
        if flag.alias_of:
            self.notices.append(f"Flag --{flag.name} has been deprecated, use --{flag.alias_of} instead")
            flag = self._by_name[flag.alias_of]
        values.record(flag, value)
