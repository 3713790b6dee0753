"""Detach keys: their spelling, and finding them however the reads cut what is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.monitor.stdio.keys import DetachScanner, parse_detach_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
    ],
)
def test_spelling(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-P", "ab", "a,,b", "é"])
def test_unknown_keys_are_refused_in_dockers_words(text: str) -> None:
    with pytest.raises(Invalid, match="Invalid detach keys"):
        parse_detach_keys(text)


def typed(scanner: DetachScanner, reads: list[bytes]) -> tuple[bytes, bool]:
    passed = b""
    for data in reads:
        more, detached = scanner.feed(data)
        passed += more
        if detached:
            return passed, True
    return passed, False


def test_a_false_start_comes_out_late() -> None:
    scanner = DetachScanner(b"\x10\x11")
    assert scanner.feed(b"x\x10") == (b"x", False)
    assert scanner.feed(b"y") == (b"\x10y", False)


def test_no_keys_no_detach() -> None:
    assert DetachScanner(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"ab", b"aab", b"abab"])), st.sampled_from([b"ab", b"aab", b"abac", b"a"]))
def test_where_reads_are_cut_makes_no_difference(pieces: list[bytes], keys: bytes) -> None:
    whole = b"".join(pieces)
    at = whole.find(keys)
    passed, detached = typed(DetachScanner(keys), pieces)
    assert detached == (at >= 0)
    if detached:
        assert passed == whole[:at]
    else:
        assert whole.startswith(passed)
        assert keys.startswith(whole[len(passed) :])
