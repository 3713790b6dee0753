"""The multiplexed stream's headers."""

from corten.monitor.stdio.frames import FrameHeaders, frame_header


def test_header() -> None:
    assert frame_header(2, 0x01020304) == b"\x02\0\0\0\x01\x02\x03\x04"


def test_headers_by_length_count_what_is_added() -> None:
    headers = FrameHeaders(1, 31)
    assert headers[5] == headers[5] == frame_header(1, 36)
