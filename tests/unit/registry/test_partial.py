"""A blob while it arrives: what is there, what is missing, what a restart sees."""

import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.errors import Unavailable
from corten.ids import Digest
from corten.registry.partial import PART, Partial

DIGEST = Digest("sha256:" + "a" * 64)
SIZE = 3 * PART + 17


def test_empty_blob_misses_nothing(tmp_path: Path) -> None:
    partial = Partial(tmp_path, DIGEST, 0)
    assert partial.missing() == []
    partial.discard()


def test_parts_count_only_when_whole(tmp_path: Path) -> None:
    p = Partial(tmp_path, DIGEST, SIZE)
    p.write(0, b"x" * (PART - 1))
    assert p.missing() == [(0, SIZE)]
    p.write(PART - 1, b"y" * (PART + 1))
    assert p.missing() == [(2 * PART, SIZE)]
    p.write(3 * PART, b"z" * 17)
    assert p.missing() == [(2 * PART, 3 * PART)]
    assert p.present() == SIZE - PART
    p.close()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    p = Partial(tmp_path, DIGEST, SIZE)
    p.write(PART, b"b" * PART)
    p.close()
    again = Partial(tmp_path, DIGEST, SIZE)
    assert again.missing() == [(0, PART), (2 * PART, SIZE)]
    assert again.read_at(PART, 10) == b"b" * 10
    again.close()


def test_another_size_starts_anew(tmp_path: Path) -> None:
    p = Partial(tmp_path, DIGEST, SIZE)
    p.write(0, b"b" * PART)
    p.close()
    again = Partial(tmp_path, DIGEST, SIZE + 1)
    assert again.missing() == [(0, SIZE + 1)]
    again.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_waits_for_bytes(tmp_path: Path) -> None:
    p = Partial(tmp_path, DIGEST, SIZE)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(p.read_at(0, 4)))
    reader.start()
    p.write(0, b"c" * PART)
    reader.join(5)
    assert got == [b"cccc"]
    p.close()


def test_a_reader_is_told_of_the_failure(tmp_path: Path) -> None:
    p = Partial(tmp_path, DIGEST, SIZE)
    p.fail(Unavailable("gone"))
    with pytest.raises(Unavailable, match="gone"):
        p.read_at(0, 4)
    p.close()


@given(cuts=st.lists(st.integers(0, 40), max_size=6))
def test_contiguous_writes_of_any_length_complete(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    size, data = 40, bytes(range(40))
    edges = sorted({0, size, *cuts})
    p = Partial(tmp_path_factory.mktemp("partial"), DIGEST, size)
    for start, end in itertools.pairwise(edges):
        assert p.missing() == [(0, size)]
        p.write(start, data[start:end])
    assert p.missing() == []
    assert p.read_at(0, 100) == data
    p.discard()
