"""What the encoder wrote comes back, and Docker's own files and torn ones are read too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.monitor.logs.decode import runs
from corten.monitor.logs.encode import Encoder
from tests.unit.monitor.logs.dockers_copier import entries, go_string

AWKWARD = [b"\n", b"a", b'"', b"\\", b"\\n", b"\r\n", b"\xff", "é".encode(), b'","stream":"stdout"', b'"}', b"line\n"]
texts = st.lists(st.sampled_from(AWKWARD), max_size=12).map(b"".join)


def flat(block: bytes) -> list[tuple[int, bytes, bytes]]:
    return [(run.stream, run.time, text + run.ending) for run in runs(block) for text in run.texts]


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), texts), max_size=8), st.sampled_from([{}, {"k": "v"}]))
def test_round_trip(said: list[tuple[str, bytes]], attrs: dict[str, str]) -> None:
    block, expected = b"", []
    for second, (stream, text) in enumerate(said):
        parts, _ = Encoder(stream, attrs).encode(text, second * 10**9, final=True)
        block += b"".join(parts)
        expected += [(1 if stream == "stdout" else 2, second, go_string(e).encode()) for e in entries(text, final=True)]
    found = flat(block)
    assert [(stream, text) for stream, _, text in found] == [(stream, text) for stream, _, text in expected]
    assert [int(time[17:19]) for _, time, _ in found] == [second for _, second, _ in expected]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100, 1000])
def test_a_chunks_lines_come_in_few_runs(count: int) -> None:
    parts, _ = Encoder("stdout", {}).encode(b"line\n" * count, 0)
    found = list(runs(b"".join(parts)))
    assert sum(len(run.texts) for run in found) == count
    assert len(found) <= 5


def test_runs_that_interleave() -> None:
    """The pieces of a long line share a time, with another stream's entry in between."""
    encoder = Encoder("stdout", {})
    first, _ = encoder.encode(b"x" * 16384, 5)
    other, _ = Encoder("stderr", {}).encode(b"e\n", 6)
    rest, _ = encoder.encode(b"y\n", 7)
    assert [(stream, len(text)) for stream, _, text in flat(b"".join(first + other + rest))] == [(1, 16384), (2, 2), (1, 2)]


def test_attributes() -> None:
    parts, _ = Encoder("stdout", {"a": "1"}).encode(b"x\n", 0)
    assert [run.attrs for run in runs(b"".join(parts))] == [{"a": "1"}]


@pytest.mark.parametrize(
    "line",
    [
        b'{"stream":"stdout","log":"x\\n","time":"2026-01-01T00:00:00Z"}\n',
        b'{"log":"x\\n","stream":"stdout","time":"2026-01-01T00:00:00Z","attrs":null}\n',
    ],
)
def test_other_writers(line: bytes) -> None:
    assert flat(line) == [(1, b"2026-01-01T00:00:00Z", b"x\n")]


TORN = [
    b"\0\0\0\n",
    b'{"log":"x\n',
    b"[]\n",
    b'{"log":1,"stream":"stdout","time":"t"}\n',
    b'{"log":"x","stream":"no","time":""}\n',
]


@pytest.mark.parametrize("line", TORN)
def test_torn_lines_are_passed_over(line: bytes) -> None:
    good, _ = Encoder("stdout", {}).encode(b"ok\n", 0)
    assert [text for _, _, text in flat(line + b"".join(good))] == [b"ok\n"]
