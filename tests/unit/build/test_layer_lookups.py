"""What was found once in what never changes is not looked for again."""

import pytest

from corten.build.layer_lookups import LayerLookups


class Looking:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


def test_a_question_is_looked_for_once() -> None:
    lookups, look = LayerLookups(), Looking()
    assert [lookups.get(("a",), look), lookups.get(("a",), look), lookups.get(("b",), look)] == [1, 1, 2]


def test_nothing_found_is_an_answer() -> None:
    lookups = LayerLookups()
    assert lookups.get(("a",), lambda: None) is None
    assert lookups.get(("a",), lambda: pytest.fail("looked again")) is None


def test_a_failure_is_none() -> None:
    lookups = LayerLookups()

    def fail() -> int:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        lookups.get(("a",), fail)
    assert lookups.get(("a",), lambda: 1) == 1


def test_it_forgets_what_was_asked_for_least_recently() -> None:
    lookups, look = LayerLookups(most=500), Looking()
    for question in "abac":
        lookups.get((question,), look)
    assert look.times == 3
    lookups.get(("a",), look)
    assert look.times == 3
    lookups.get(("b",), look)
    assert look.times == 4


def test_large_answers_do_not_fill_the_memory() -> None:
    lookups, large = LayerLookups(most=10_000), "x" * 9000
    asked = []

    def look() -> str:
        asked.append(1)
        return large

    for number in range(5):
        assert lookups.get((number,), look) == large
    assert lookups.get((4,), look) == large
    assert len(asked) == 5
    assert lookups.get((0,), look) == large
    assert len(asked) == 6
    assert lookups.get(("too large",), lambda: "y" * 20_000) == "y" * 20_000
