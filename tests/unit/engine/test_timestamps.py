"""Moments as users write them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.timestamps import format_moment, parse_moment, parse_unix
from corten.errors import Invalid


def test_unix() -> None:
    assert parse_unix("1136073600") == 1136073600 * 10**9
    assert parse_unix("1136073600.000000001") == 1136073600 * 10**9 + 1
    assert parse_unix("5.5") == 5_500_000_000
    with pytest.raises(Invalid, match=r'strconv\.ParseInt: parsing "x": invalid syntax'):
        parse_unix("x")


def test_rfc3339() -> None:
    assert parse_moment("2026-01-02T03:04:05Z") == parse_moment("2026-01-02T04:04:05+01:00") == 1767323045 * 10**9
    assert parse_moment("2026-01-02") == parse_moment("2026-01-02T00:00:00Z")


def test_ago() -> None:
    assert abs(time.time_ns() - 90 * 10**9 - parse_moment("1m30s")) < 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "1x", "2026-13-01"])
def test_nonsense(text: str) -> None:
    with pytest.raises(Invalid):
        parse_moment(text)


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0001-01-01T00:00:00Z"), (10**9, "1970-01-01T00:00:01Z"), (10**9 + 120_000_000, "1970-01-01T00:00:01.12Z")],
)
def test_format(ns: int, text: str) -> None:
    assert format_moment(ns) == text


@given(st.integers(10**6, 2**62))
def test_what_is_written_is_read_back_to_the_microsecond(ns: int) -> None:
    assert abs(parse_moment(format_moment(ns // 1000 * 1000)) - ns // 1000 * 1000) < 1000
