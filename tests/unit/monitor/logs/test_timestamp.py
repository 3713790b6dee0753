"""The two spellings of a time."""

from hypothesis import given
from hypothesis import strategies as st

from corten.monitor.logs.timestamp import Clock, fixed, to_fixed, trimmed


def test_spellings() -> None:
    assert fixed(1_700_000_000_100_000_000) == "2023-11-14T22:13:20.100000000Z"
    assert trimmed(1_700_000_000_100_000_000) == "2023-11-14T22:13:20.1Z"
    assert trimmed(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_they_agree(ns: int) -> None:
    assert Clock().spell(ns) == trimmed(ns)
    assert to_fixed(trimmed(ns).encode()) == fixed(ns).encode()


@given(st.integers(0, 4_000_000_000 * 10**9), st.integers(0, 4_000_000_000 * 10**9))
def test_fixed_compares_as_time_does(a: int, b: int) -> None:
    assert (fixed(a) < fixed(b)) == (a < b)
