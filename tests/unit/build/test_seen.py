"""What was found once in what never changes is not looked for again."""

import pytest

from corten.build.seen import Seen


class Looking:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> int:
        self.times += 1
        return self.times


def test_a_question_is_looked_for_once() -> None:
    seen, look = Seen(), Looking()
    assert [seen.answer(("a",), look), seen.answer(("a",), look), seen.answer(("b",), look)] == [1, 1, 2]


def test_nothing_found_is_an_answer() -> None:
    seen = Seen()
    assert seen.answer(("a",), lambda: None) is None
    assert seen.answer(("a",), lambda: pytest.fail("looked again")) is None


def test_a_failure_is_none() -> None:
    seen = Seen()

    def fail() -> int:
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        seen.answer(("a",), fail)
    assert seen.answer(("a",), lambda: 1) == 1


def test_it_forgets_what_was_asked_for_least_recently() -> None:
    seen, look = Seen(most=500), Looking()
    for question in "abac":
        seen.answer((question,), look)
    assert look.times == 3
    seen.answer(("a",), look)
    assert look.times == 3
    seen.answer(("b",), look)
    assert look.times == 4


def test_large_answers_do_not_fill_the_memory() -> None:
    seen, large = Seen(most=10_000), "x" * 9000
    asked = []

    def look() -> str:
        asked.append(1)
        return large

    for number in range(5):
        assert seen.answer((number,), look) == large
    assert seen.answer((4,), look) == large
    assert len(asked) == 5
    assert seen.answer((0,), look) == large
    assert len(asked) == 6
    assert seen.answer(("too large",), lambda: "y" * 20_000) == "y" * 20_000
