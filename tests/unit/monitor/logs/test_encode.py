"""json-file entries: byte for byte Docker's, however the stream is cut into reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.monitor.logs.encode import PIECE, Encoder, escape
from corten.monitor.logs.timestamp import to_fixed
from tests.unit.monitor.logs.dockers_copier import entries, go_string, parsed

NOW = 1_700_000_000_123_456_700
LATER = NOW + 1_000_000_000


def encoded(encoder: Encoder, reads: list[bytes], now: int = NOW) -> bytes:
    """As the writer uses it: what is left of a read goes before the next."""
    out, held = b"", b""
    for number, data in enumerate(reads):
        held += data
        parts, used = encoder.encode(held, now + number, final=number == len(reads) - 1)
        out += b"".join(parts)
        held = held[used:]
    assert held == b""
    return out


def test_dockers_own_example() -> None:
    """Taken from a log file of Docker 28.5."""
    text = b'a\tb"\\<>&\x1b[0m\x7f \xe2\x80\xa8 \xc3\xa9 \xff \xe2\x80A\r\nfoo'
    assert encoded(Encoder("stdout", {}), [text]).decode() == (
        '{"log":"a\\u0009b\\"\\\\\\u003c\\u003e\\u0026\\u001b[0m\x7f \\u2028 é \\ufffd \\ufffd\\ufffdA\\r\\n",'
        '"stream":"stdout","time":"2023-11-14T22:13:20.1234567Z"}\n'
        '{"log":"foo","stream":"stdout","time":"2023-11-14T22:13:20.1234567Z"}\n'
    )


def test_attributes_stand_between_stream_and_time() -> None:
    line = encoded(Encoder("stderr", {"b": "<2>", "a": "1"}), [b"x\n"])
    assert line == b'{"log":"x\\n","stream":"stderr","attrs":{"a":"1","b":"\\u003c2\\u003e"},"time":"2023-11-14T22:13:20.1234567Z"}\n'


@pytest.mark.parametrize("length", [0, 1, PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1])
def test_long_lines_are_cut_where_docker_cuts_them(length: int) -> None:
    text = b"first\n" + b"x" * length + b"\nlast\n"
    found = [log.encode() for log, _, _ in parsed(encoded(Encoder("stdout", {}), [text]))]
    assert found == entries(text, final=True)


def test_pieces_of_a_line_share_the_first_ones_time() -> None:
    encoder = Encoder("stdout", {})
    first, used = encoder.encode(b"x" * PIECE, NOW)
    assert used == PIECE
    assert encoder.partial_since == NOW
    second, _ = encoder.encode(b"y\nz\n", LATER)
    times = [time for _, _, time in parsed(b"".join(first + second))]
    assert times == ["2023-11-14T22:13:20.1234567Z"] * 2 + ["2023-11-14T22:13:21.1234567Z"]
    assert encoder.partial_since == 0


def test_a_line_that_is_not_over_waits() -> None:
    parts, used = Encoder("stdout", {}).encode(b"one\ntw", NOW)
    assert used == 4
    assert [log for log, _, _ in parsed(b"".join(parts))] == ["one\n"]


@pytest.mark.parametrize("byte", [b"\x00", b"\\", b'"', b"\r", b"&"])
def test_the_same_byte_all_over(byte: bytes) -> None:
    assert escape(byte * 300) == escape(byte) * 300


AWKWARD = [
    b"\n",
    b"a",
    b"?",
    b"\x01",
    b'"',
    b"\\",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xe2\x80",
    b"\xe2\x80\xa8",
    "é€😀".encode(),
    b"<&>",
    b"\x7f",
    b"word ",
]
awkward = st.lists(st.sampled_from(AWKWARD), max_size=30).map(b"".join)


@given(st.lists(awkward, min_size=1, max_size=6))
def test_any_bytes_cut_anywhere(reads: list[bytes]) -> None:
    found = parsed(encoded(Encoder("stdout", {}), reads))
    assert [log for log, _, _ in found] == [go_string(entry) for entry in entries(b"".join(reads), final=True)]
    times = [to_fixed(time.encode()) for _, _, time in found]
    assert times == sorted(times)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3 * PIECE), st.booleans()), min_size=1, max_size=6))
def test_long_reads(reads: list[tuple[int, bool]]) -> None:
    data = [b"x" * size + (b"\n" if ends else b"") for size, ends in reads]
    found = parsed(encoded(Encoder("stdout", {}), data))
    assert [log.encode() for log, _, _ in found] == entries(b"".join(data), final=True)


def test_plain_text_is_returned_as_it_is() -> None:
    text = b"nothing to escape\n"
    assert escape(text) is text
