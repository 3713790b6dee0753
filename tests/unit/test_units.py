"""Sizes, durations and booleans: the tables of Go's own tests (docker/go-units, time, strconv)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.units import (
    binary_size,
    format_calendar_duration,
    format_duration,
    human_duration,
    human_size,
    parse_bool,
    parse_decimal_size,
    parse_duration,
    parse_size,
)

KB, MB, GB, TB, PB = (1000**n for n in range(1, 6))
KIB, MIB, GIB, TIB, PIB = (1024**n for n in range(1, 6))
NS, US, MS, S, MIN, H, D = 1, 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9

SIZES = [  # text, decimal, binary
    ("0", 0, 0),
    ("0b", 0, 0),
    ("0B", 0, 0),
    ("0 B", 0, 0),
    ("32", 32, 32),
    ("32b", 32, 32),
    ("32B", 32, 32),
    ("32k", 32 * KB, 32 * KIB),
    ("32K", 32 * KB, 32 * KIB),
    ("32kb", 32 * KB, 32 * KIB),
    ("32Kb", 32 * KB, 32 * KIB),
    ("32kib", 32 * KB, 32 * KIB),
    ("32KIB", 32 * KB, 32 * KIB),
    ("32Mb", 32 * MB, 32 * MIB),
    ("32Gb", 32 * GB, 32 * GIB),
    ("32Tb", 32 * TB, 32 * TIB),
    ("32Pb", 32 * PB, 32 * PIB),
    ("32.5kB", 32500, 33280),
    ("32.5 kB", 32500, 33280),
    ("32.5 B", 32, 32),
    ("0.3 K", 300, 307),
    (".3kB", 300, 307),
    ("0.", 0, 0),
    ("0. ", 0, 0),
    ("0.b", 0, 0),
    ("-0", 0, 0),
    ("-0b", 0, 0),
    ("-0 b", 0, 0),
    ("32.", 32, 32),
    ("32.b", 32, 32),
    ("32. b", 32, 32),
    ("400GiB", 400 * GB, 400 * GIB),
    ("1e3", 1000, 1000),
]


@pytest.mark.parametrize(("text", "decimal", "binary"), SIZES)
def test_sizes(text: str, decimal: int, binary: int) -> None:
    assert (parse_decimal_size(text), parse_size(text)) == (decimal, binary)


NO_SIZES = [
    *("", " ", "hello", ".", ". ", "-", "b", "k", "kb", "-32", "-32b", "-32B", "-32k", "-32kb", " 32b", " 32 b", " 32", "32 b ", "32 m b"),
    *("32b.", "32.b.", "32.0.0", "32bb", "32mb ", "32 mb ", "32 kbkb", "32kk", "32 mib b", "32kbb", "22.e", "1_000", "١", "nan", "inf0"),
]


@pytest.mark.parametrize("text", NO_SIZES)
def test_what_is_no_size(text: str) -> None:
    for read in (parse_size, parse_decimal_size):
        with pytest.raises(ValueError, match=r"^(invalid size: '|invalid suffix: '|strconv\.ParseFloat: parsing \")"):
            read(text)


@pytest.mark.parametrize(
    ("size", "three", "four", "binary"),
    [
        (0, "0B", "0B", "0B"),
        (999, "999B", "999B", "999B"),
        (1000, "1kB", "1kB", "1000B"),
        (1024, "1.02kB", "1.024kB", "1KiB"),
        (999_999, "1e+03kB", "1000kB", "976.6KiB"),
        (1_000_000, "1MB", "1MB", "976.6KiB"),
        (1_048_576, "1.05MB", "1.049MB", "1MiB"),
        (1_984_172, "1.98MB", "1.984MB", "1.892MiB"),
        (2 * MB, "2MB", "2MB", "1.907MiB"),
        (3.42 * GB, "3.42GB", "3.42GB", "3.185GiB"),
        (5.372 * TB, "5.37TB", "5.372TB", "4.886TiB"),
        (2.22 * PB, "2.22PB", "2.22PB", "1.972PiB"),
        (10**24, "1YB", "1YB", "847ZiB"),
        (10**29, "1e+05YB", "1e+05YB", "8.272e+04YiB"),
    ],
)
def test_human_sizes(size: float, three: str, four: str, binary: str) -> None:
    assert (human_size(size, 3), human_size(size), binary_size(size)) == (three, four, binary)


DURATIONS = [
    ("0", 0),
    ("5s", 5 * S),
    ("30s", 30 * S),
    ("1478s", 1478 * S),
    ("-5s", -5 * S),
    ("+5s", 5 * S),
    ("-0", 0),
    ("+0", 0),
    ("5.0s", 5 * S),
    ("5.6s", 5 * S + 600 * MS),
    ("5.s", 5 * S),
    (".5s", 500 * MS),
    ("1.0s", S),
    ("1.00s", S),
    ("1.004s", S + 4 * MS),
    ("1.0040s", S + 4 * MS),
    ("100.00100s", 100 * S + MS),
    ("10ns", 10 * NS),
    ("11us", 11 * US),
    ("12µs", 12 * US),
    ("12μs", 12 * US),
    ("13ms", 13 * MS),
    ("14s", 14 * S),
    ("15m", 15 * MIN),
    ("16h", 16 * H),
    ("3h30m", 3 * H + 30 * MIN),
    ("10.5s4m", 4 * MIN + 10 * S + 500 * MS),
    ("-2m3.4s", -(2 * MIN + 3 * S + 400 * MS)),
    ("1h2m3s4ms5us6ns", H + 2 * MIN + 3 * S + 4 * MS + 5 * US + 6 * NS),
    ("39h9m14.425s", 39 * H + 9 * MIN + 14 * S + 425 * MS),
    ("52763797000ns", 52763797000),
    ("0.3333333333333333333h", 20 * MIN),
    ("9007199254740993ns", (1 << 53) + 1),
    ("9223372036854775807ns", (1 << 63) - 1),
    ("9223372036854775.807us", (1 << 63) - 1),
    ("9223372036s854ms775us807ns", (1 << 63) - 1),
    ("-9223372036854775808ns", -1 << 63),
    ("-9223372036854775.808us", -1 << 63),
    ("-9223372036s854ms775us808ns", -1 << 63),
    ("0.100000000000000000000h", 6 * MIN),
    ("0.830103483285477580700h", 49 * MIN + 48 * S + 372539827 * NS),
]


@pytest.mark.parametrize(("text", "ns"), DURATIONS)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


NO_DURATIONS = [
    ("", 'invalid duration ""'),
    ("3", 'missing unit in duration "3"'),
    ("-", 'invalid duration "-"'),
    ("s", 'invalid duration "s"'),
    (".", 'invalid duration "."'),
    ("-.", 'invalid duration "-."'),
    (".s", 'invalid duration ".s"'),
    ("+.s", 'invalid duration "+.s"'),
    ("1d", 'unknown unit "d" in duration "1d"'),
    ("3000000h", 'invalid duration "3000000h"'),
    ("9223372036854775808ns", 'invalid duration "9223372036854775808ns"'),
    ("9223372036854775.808us", 'invalid duration "9223372036854775.808us"'),
    ("9223372036854ms775us808ns", 'invalid duration "9223372036854ms775us808ns"'),
    ("-9223372036854775809ns", 'invalid duration "-9223372036854775809ns"'),
]


@pytest.mark.parametrize(("text", "complaint"), NO_DURATIONS)
def test_what_is_no_duration(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(text)
    assert str(raised.value) == f"time: {complaint}"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("1.1µs", 1100),
        ("2.2ms", 2200 * US),
        ("3.3s", 3300 * MS),
        ("4m5s", 4 * MIN + 5 * S),
        ("4m5.001s", 4 * MIN + 5001 * MS),
        ("5h6m7.001s", 5 * H + 6 * MIN + 7001 * MS),
        ("8m0.000000001s", 8 * MIN + 1),
        ("2562047h47m16.854775807s", (1 << 63) - 1),
        ("-2562047h47m16.854775808s", -1 << 63),
    ],
)
def test_durations_print_as_in_go(text: str, ns: int) -> None:
    assert format_duration(ns) == text
    assert format_duration(-ns) == (text.removeprefix("-") if ns < 0 else f"-{text}" if ns else text)


@given(st.integers(-(1 << 53), 1 << 53))
def test_a_printed_duration_is_read_back(ns: int) -> None:
    assert parse_duration(format_duration(ns)) == ns


@pytest.mark.parametrize(
    ("text", "ns", "printed"),
    [
        ("7d", 7 * D, "7d"),
        ("2w", 14 * D, "14d"),
        ("36h", 36 * H, "36h"),
        ("1d12h", 36 * H, "36h"),
        ("1.5h", 90 * MIN, "90m"),
        ("0", 0, "0s"),
    ],
)
def test_days_and_weeks(text: str, ns: int, printed: str) -> None:
    assert parse_duration(text, calendar=True) == ns
    assert format_calendar_duration(ns) == printed


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.45, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (46, "46 seconds"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (90, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3 * 60 + 40, "3 minutes"),
        (4 * 60 + 35, "4 minutes"),
        (3600, "About an hour"),
        (3600 + 45 * 60, "2 hours"),
        (2.6 * 3600, "3 hours"),
        (3.5 * 3600, "4 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (35 * 86400, "5 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (180 * 86400, "6 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_human_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_booleans() -> None:
    assert [parse_bool(text) for text in ("1", "t", "T", "true", "TRUE", "True")] == [True] * 6
    assert [parse_bool(text) for text in ("0", "f", "F", "false", "FALSE", "False")] == [False] * 6
    for text in ("", "asdf", "yes", "tRUE", " true"):
        with pytest.raises(ValueError, match=f'^strconv.ParseBool: parsing "{text}": invalid syntax$'):
            parse_bool(text)
