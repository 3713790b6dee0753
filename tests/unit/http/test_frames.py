"""The frames of attach, exec and logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.http.frames import STDERR, STDOUT, FrameDecoder, encode_frame


def test_a_frame_is_a_header_and_its_payload() -> None:
    assert encode_frame(STDERR, b"hi\n") == b"\x02\0\0\0\0\0\0\x03hi\n"


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)), max_size=6), st.integers(1, 17))
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], step: int) -> None:
    wire = b"".join(encode_frame(stream, payload) for stream, payload in frames)
    decoder = FrameDecoder()
    pieces = [piece for start in range(0, len(wire), step) for piece in decoder.feed(wire[start : start + step])]
    assert decoder.is_between_frames
    for stream in (STDOUT, STDERR):
        assert b"".join(data for s, data in pieces if s == stream) == b"".join(data for s, data in frames if s == stream)


def test_payload_is_handed_out_before_its_frame_is_complete() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"\x01\0\0\0\0\0\0\x05he") == [(STDOUT, b"he")]
    assert not decoder.is_between_frames
    assert decoder.feed(b"llo") == [(STDOUT, b"llo")]


def test_what_is_no_frame_is_told() -> None:
    with pytest.raises(ValueError, match="not a frame header"):
        FrameDecoder().feed(b"plain text")
