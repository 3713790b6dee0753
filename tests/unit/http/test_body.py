import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.http.body import ChunkedBody, LengthBody


def coded(pieces: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    return b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n" + trailer + b"\r\n"


def read(body: ChunkedBody | LengthBody, wire: bytes, step: int) -> tuple[bytes, bool]:
    """What came out, and whether the end was seen."""
    out = b""
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
        while (piece := body.next_piece()) is not None:
            if not piece:
                return out, True
            out += piece
    return out, False


@settings(max_examples=60)
@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 50), st.sampled_from([b"", b";a=b", b" ; x"]), st.booleans()
)
def test_chunks_survive_any_cutting(pieces: list[bytes], step: int, extension: bytes, trailing: bool) -> None:
    wire = coded(pieces, extension, b"A: b\r\nC: d\r\n" if trailing else b"")
    assert read(ChunkedBody(), wire, step) == (b"".join(pieces), True)


def test_all_that_is_here_is_one_piece() -> None:
    body = ChunkedBody()
    body.feed(coded([b"a" * 100, b"b" * 100])[:-1])
    assert body.next_piece() == b"a" * 100 + b"b" * 100
    assert body.next_piece() is None


def test_what_follows_is_left() -> None:
    chunked, length = ChunkedBody(), LengthBody(3)
    chunked.feed(coded([b"abc"]) + b"GET /")
    length.feed(b"abcGET /")
    for body in (chunked, length):
        assert (body.next_piece(), body.next_piece(), body.rest) == (b"abc", b"", b"GET /")


def test_an_empty_length_needs_nothing() -> None:
    assert LengthBody(0).next_piece() == b""
    assert LengthBody(2).next_piece() is None


BROKEN = [
    b"x\r\n",
    b"-1\r\n",
    b"+1\r\na",
    b"0x1\r\na",
    b"1_0\r\n",
    b"\r\n",
    b" \r\n",
    b"11111111111111111\r\n",
    b"1\r\nab\r\n",
    b"1" * 20_000,
]


@pytest.mark.parametrize("wire", BROKEN)
def test_broken_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        read(ChunkedBody(), wire, len(wire))
