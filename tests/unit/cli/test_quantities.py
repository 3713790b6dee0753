"""Processors and moments, read and printed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.cli.options.moments import parse_moment
from corten.cli.options.quantities import parse_cpus, parse_swap
from corten.cli.output.units import ellipsis, go_time, parse_rfc3339, rfc3339, short_id
from corten.units import parse_duration


def test_swap_may_be_unlimited() -> None:
    assert parse_swap("-1") == -1


@settings(max_examples=30)
@given(st.integers(min_value=0, max_value=10**15))
def test_nanoseconds_are_exact(nano: int) -> None:
    assert parse_duration(f"{nano}ns") == nano
    assert parse_cpus(f"{nano // 10**9}.{nano % 10**9:09d}") == nano


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
