"""Sizes, durations, processors and moments, read and printed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.cli.options.moments import parse_moment
from corten.cli.options.quantities import parse_bytes, parse_cpus, parse_duration, parse_swap
from corten.cli.output.units import binary_size, ellipsis, go_time, human_duration, human_size, parse_rfc3339, rfc3339, short_id


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("64k", 65536), ("1.5g", 1610612736), ("1GiB", 1 << 30), ("2 M", 2 << 20), ("3b", 3), ("1TB", 1 << 40)],
)
def test_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1x", "1kbb", "1.2.3", "1kk"])
def test_no_bytes(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid|parsing"):
        parse_bytes(text)


def test_swap_may_be_unlimited() -> None:
    assert parse_swap("-1") == -1


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h2m3.5s", 3723500000000),
        ("100ms", 10**8),
        ("-1m", -60 * 10**9),
        ("+5us", 5000),
        (".5s", 5 * 10**8),
        ("1µs", 1000),
    ],
)
def test_duration(text: str, nano: int) -> None:
    assert parse_duration(text) == nano


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("abc", 'time: invalid duration "abc"'),
        ("", 'time: invalid duration ""'),
        ("1x", 'time: unknown unit "x" in duration "1x"'),
        ("1.2.3s", 'time: invalid duration "1.2.3s"'),
    ],
)
def test_no_duration(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_duration(text)
    assert str(raised.value) == complaint


@settings(max_examples=30)
@given(st.integers(min_value=0, max_value=10**15))
def test_nanoseconds_are_exact(nano: int) -> None:
    assert parse_duration(f"{nano}ns") == nano
    assert parse_cpus(f"{nano // 10**9}.{nano % 10**9:09d}") == nano


@pytest.mark.parametrize(
    ("size", "three", "four", "binary"),
    [
        (0, "0B", "0B", "0B"),
        (999, "999B", "999B", "999B"),
        (1000, "1kB", "1kB", "1000B"),
        (1984172, "1.98MB", "1.984MB", "1.892MiB"),
        (25276514304, "25.3GB", "25.28GB", "23.54GiB"),
        (1024**5, "1.13PB", "1.126PB", "1PiB"),
    ],
)
def test_human_sizes(size: int, three: str, four: str, binary: str) -> None:
    assert (human_size(size, 3), human_size(size), binary_size(size)) == (three, four, binary)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (2.6 * 3600, "3 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_moments_print_as_in_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert go_time(1795496385) == "2026-11-24 04:59:45 +0000 UTC"
    assert rfc3339(1795496385) == "2026-11-24T04:59:45Z"
    assert parse_rfc3339("2026-11-24T04:59:45.695057042Z") == pytest.approx(1795496385.695057)
    assert parse_rfc3339("2026-11-24T05:59:45+01:00") == 1795496385


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1795496385", "1795496385"),
        ("1795496385.5", "1795496385.5"),
        ("2026-11-24T04:59:45Z", "1795496385.000000000"),
        ("2026-11-24T04:59:45.5Z", "1795496385.500000000"),
        ("2026-11-24T05:59:45+01:00", "1795496385.000000000"),
        ("2026-11-24T04:59Z", "1795496340.000000000"),
        ("2026-11-24Z", "1795478400.000000000"),
    ],
)
def test_moment(text: str, moment: str) -> None:
    assert parse_moment(text) == moment


def test_moment_counts_back_from_now() -> None:
    assert abs(int(parse_moment("42m")) - (time.time() - 42 * 60)) < 2


def test_no_moment() -> None:
    with pytest.raises(ValueError, match='failed to parse value as time or duration: "abc"'):
        parse_moment("abc")


def test_shortened_texts() -> None:
    assert (ellipsis("abcdef", 6), ellipsis("abcdef", 5), ellipsis("abc", 1), ellipsis("abc", 0)) == ("abcdef", "abcd…", "a", "")
    assert short_id("sha256:" + "a" * 64) == "a" * 12
