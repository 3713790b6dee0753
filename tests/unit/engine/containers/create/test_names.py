"""Container names."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.containers.create.names import check_name, free_name
from corten.errors import Invalid


@pytest.mark.parametrize("name", ["web", "a1", "Web_1.x-y", "00"])
def test_valid(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "a", "-web", "_x", ".x", "a b", "a/b", "ä1", "web\n"])
def test_invalid(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_name(name)
    assert caught.value.message == f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_made_up_names_are_valid_and_free() -> None:
    taken: set[str] = set()
    for _ in range(300):
        name = free_name(taken.__contains__)
        check_name(name)
        assert name not in taken
        taken.add(name)


def test_a_digit_comes_when_the_plain_names_are_taken() -> None:
    plain = re.compile(r"[a-z]+_[a-z]+")
    assert re.search(r"\d", free_name(lambda name: plain.fullmatch(name) is not None))


@given(st.integers(1, 40))
def test_it_ends_however_many_are_taken(misses: int) -> None:
    count = itertools.count()
    assert free_name(lambda _: next(count) < misses)
