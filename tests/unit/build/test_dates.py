"""Times in histories, as BuildKit gives them."""

import pytest

from corten.build.dates import UNDATED, dated, format_time, latest, parse_time, seconds_of
from corten.oci.image import History

BASE, FIRST, LAST = "2020-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([BASE, FIRST], [BASE, FIRST]),
        ([BASE, UNDATED, FIRST], [BASE, FIRST, FIRST]),
        ([BASE, UNDATED, FIRST, UNDATED, LAST, UNDATED], [BASE, FIRST, FIRST, FIRST, LAST, LAST]),
        ([BASE, FIRST, UNDATED], [BASE, FIRST, FIRST]),
        ([BASE, UNDATED], [BASE, BASE]),
        ([UNDATED, FIRST], [FIRST, FIRST]),
        ([None, UNDATED, FIRST], [None, FIRST, FIRST]),
        ([], []),
    ],
)
def test_undated_entries(told: list[str | None], found: list[str | None]) -> None:
    assert [entry.created for entry in dated([History(created=text) for text in told])] == found


def test_the_latest() -> None:
    assert latest([History(created=text) for text in (BASE, LAST, FIRST, None, "nonsense")]) == LAST
    assert latest([History(created="2026-01-01T01:00:00+02:00"), History(created="2025-12-31T23:30:00Z")]) == "2025-12-31T23:30:00Z"
    assert latest([]) is None


@pytest.mark.parametrize("ns", [0, 7, 10**9, 1795529210 * 10**9 + 7, 1795529210 * 10**9 + 500_000_000])
def test_written_and_read(ns: int) -> None:
    assert parse_time(format_time(ns)) == ns


def test_forms() -> None:
    assert format_time(1795529210 * 10**9 + 120_000_000) == "2026-11-24T14:06:50.12Z"
    assert seconds_of("2026-11-24T14:06:50.9Z") == 1795529210
    assert seconds_of(None) is None
    assert parse_time("yesterday") is None
