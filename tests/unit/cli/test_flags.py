"""Flags by pflag's rules."""

import pytest

from corten.cli.flags import Flag, FlagError, Parser, Values
from corten.cli.kinds import BOOL, FILTER, INT, LIST, STRING, STRINGS, UINT16, csv_fields
from corten.quoting import go_quoted

FLAGS = (
    Flag("all", BOOL, short="a"),
    Flag("quiet", BOOL, short="q"),
    Flag("name", STRING),
    Flag("last", INT, short="n", default=-1),
    Flag("env", LIST, short="e"),
    Flag("words", STRINGS),
    Flag("filter", FILTER, short="f"),
    Flag("weight", UINT16),
    Flag("timeout", INT, short="t"),
    Flag("time", INT).hide(alias_of="timeout"),
    Flag("never", BOOL, refusal="it cannot be"),
)


def parsed(*words: str, interspersed: bool = True) -> tuple[Values, list[str]]:
    return Parser(FLAGS, interspersed=interspersed).parse(words)


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        (["--name", "x"], "name", "x"),
        (["--name=x"], "name", "x"),
        (["--name="], "name", ""),
        (["--name", "--all"], "name", "--all"),
        ([], "last", -1),
        (["-n", "2"], "last", 2),
        (["-n2"], "last", 2),
        (["-n=2"], "last", 2),
        (["-qn=2"], "last", 2),
        (["-qan", "2"], "last", 2),
        (["--last=0x10"], "last", 16),
        (["--last=010"], "last", 8),
        (["--last", "1", "--last", "2"], "last", 2),
        (["-aq"], "all", True),
        (["-a=false"], "all", False),
        (["--all=F"], "all", False),
        (["--time", "3"], "timeout", 3),
    ],
)
def test_value(words: list[str], name: str, expected: object) -> None:
    assert parsed(*words)[0].one(name) == expected


def test_repeated_values_are_kept_in_order() -> None:
    values, _ = parsed("-e", "a", "--env=b", "-ec", "--words", "x,y", "--words", '"p,q",r', "-f", "Name= v ")
    assert values.items("env") == ["a", "b", "c"]
    assert values.texts("words") == ["x", "y", "p,q", "r"]
    assert values.items("filter") == [("name", "v")]


def test_arguments_between_flags() -> None:
    assert parsed("x", "-a", "y", "--", "-q", "z")[1] == ["x", "y", "-q", "z"]
    assert parsed("-")[1] == ["-"]


def test_flags_end_at_the_first_argument_of_a_command_that_passes_on() -> None:
    values, arguments = parsed("-a", "image", "-q", "--name", "x", interspersed=False)
    assert (values.on("all"), values.on("quiet"), arguments) == (True, False, ["image", "-q", "--name", "x"])


def test_old_name_gives_a_notice() -> None:
    parser = Parser(FLAGS)
    parser.parse(["--time", "3"])
    assert parser.notices == ["Flag --time has been deprecated, use --timeout instead"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["-aqZx"], "unknown shorthand flag: 'Z' in -Zx"),
        (["--name"], "flag needs an argument: --name"),
        (["-an"], "flag needs an argument: 'n' in -n"),
        (["---"], "bad flag syntax: ---"),
        (["--=x"], "bad flag syntax: --=x"),
        (["--all=maybe"], 'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax'),
        (["-n", "x"], 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (["--weight", "70000"], 'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range'),
        (["--weight", "-1"], 'invalid argument "-1" for "--weight" flag: strconv.ParseUint: parsing "-1": invalid syntax'),
        (["-f", "x"], 'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)'),
        (["--never"], "--never: it cannot be"),
    ],
)
def test_complaint(words: list[str], complaint: str) -> None:
    with pytest.raises(FlagError) as raised:
        parsed(*words)
    assert str(raised.value) == complaint


def test_reading_an_undeclared_flag_is_a_bug() -> None:
    with pytest.raises(KeyError):
        parsed()[0].text("nothing")


@pytest.mark.parametrize(
    ("text", "fields"),
    [("a,b", ["a", "b"]), ('"a,b",c', ["a,b", "c"]), ('"a""b"', ['a"b']), ("", [""]), ('a,""', ["a", ""])],
)
def test_csv(text: str, fields: list[str]) -> None:
    assert csv_fields(text) == fields


@pytest.mark.parametrize("text", ['a"b', '"a', '"a"b'])
def test_bad_csv(text: str) -> None:
    with pytest.raises(ValueError, match="parse error on line 1"):
        csv_fields(text)


def test_go_quotes() -> None:
    assert go_quoted('a"b\\\n\t\x01é\u200b') == '"a\\"b\\\\\\n\\t\\x01é\\u200b"'
