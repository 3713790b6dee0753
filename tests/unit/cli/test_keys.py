"""Detach keys: their spelling, and finding them in what is typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.cli.terminal.keys import DEFAULT_KEYS, Detector, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", DEFAULT_KEYS),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a,x", b"\x01x"),
        ("ctrl-@", b"\0"),
        ("ctrl-[", b"\x1b"),
        ("ctrl-_", b"\x1f"),
    ],
)
def test_spelling(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-", "ctrl-1", "a,,b"])
def test_no_keys(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown character"):
        parse_keys(text)


def test_sequence_over_two_reads() -> None:
    detector = Detector(b"\x10\x11")
    assert detector.feed(b"ab\x10") == (b"ab", False)
    assert detector.feed(b"\x11cd") == (b"", True)


def test_broken_sequence_is_passed_on() -> None:
    detector = Detector(b"\x10\x11")
    assert detector.feed(b"\x10") == (b"", False)
    assert detector.feed(b"x") == (b"\x10x", False)
    assert detector.feed(b"\x10\x10\x11") == (b"\x10", True)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=6)))
def test_nothing_is_lost_without_the_sequence(pieces: list[bytes]) -> None:
    detector = Detector(b"\xff\xfe")
    clean = [p.replace(b"\xff", b"") for p in pieces]
    assert b"".join(detector.feed(p)[0] for p in clean) == b"".join(clean)
