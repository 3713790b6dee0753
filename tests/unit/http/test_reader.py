"""Requests out of bytes: playbooks for the reader."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.http.reader import RequestReader, is_persistent

HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\n"


def read_all(reader: RequestReader) -> bytes:
    body = b""
    while chunk := reader.next_chunk():
        body += chunk
    assert chunk == b""
    return body


@given(st.binary(max_size=60), st.integers(1, 30))
def test_a_body_with_a_length_survives_any_cutting(body: bytes, step: int) -> None:
    wire = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    reader = RequestReader()
    collected = b""
    request = None
    for start in range(0, len(wire), step):
        reader.feed(wire[start : start + step])
        request = request or reader.next_request()
        while request and (chunk := reader.next_chunk()):
            collected += chunk
    assert collected == body
    assert reader.is_complete


def test_a_chunked_body() -> None:
    reader = RequestReader()
    reader.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert reader.next_request()
    assert read_all(reader) == b"abcde"


def test_pipelined_requests_come_one_by_one() -> None:
    reader = RequestReader()
    reader.feed(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
    first = reader.next_request()
    assert first
    assert first.target == b"/1"
    assert read_all(reader) == b""
    reader.restart()
    second = reader.next_request()
    assert second
    assert second.target == b"/2"


def test_taking_over_returns_what_follows_the_body() -> None:
    reader = RequestReader()
    reader.feed(HEAD + b"Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}raw bytes")
    assert reader.next_request()
    assert read_all(reader) == b"{}"
    assert reader.release() == b"raw bytes"


def test_taking_over_returns_an_announced_body_that_nobody_read() -> None:
    reader = RequestReader()
    reader.feed(HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\nPRI * HTTP/2.0\r\n\r\n")
    assert reader.next_request()
    assert reader.release() == b"PRI * HTTP/2.0\r\n\r\n"


def test_continue_is_granted_once() -> None:
    reader = RequestReader()
    reader.feed(HEAD + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert reader.next_request()
    assert reader.expects_continue
    assert reader.grant_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not reader.expects_continue


def test_a_head_may_come_in_pieces() -> None:
    reader = RequestReader()
    assert not reader.has_partial_head
    reader.feed(HEAD)
    assert reader.next_request() is None
    assert reader.has_partial_head
    reader.feed(b"\r\n")
    assert reader.next_request()
    assert not reader.has_partial_head


@pytest.mark.parametrize(
    "wire", [b"GARBAGE\r\n\r\n", b"GET /x HTTP/1.1\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_no_request_is_refused(wire: bytes) -> None:
    reader = RequestReader()
    reader.feed(wire)
    with pytest.raises(h11.RemoteProtocolError):
        reader.next_request()


def test_a_length_beside_chunks_is_not_believed() -> None:
    """RFC 9112 6.3: chunked coding overrides the length, so nothing can be smuggled behind it."""
    reader = RequestReader()
    reader.feed(HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nXXXX")
    assert reader.next_request()
    assert read_all(reader) == b""
    assert reader.release() == b"XXXX"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
    ],
)
def test_persistence(head: bytes, expected: bool) -> None:
    reader = RequestReader()
    reader.feed(head)
    request = reader.next_request()
    assert request
    assert is_persistent(request) is expected


@given(
    st.lists(
        st.sampled_from(
            [
                b"GET ",
                b"/x",
                b" HTTP/1.1",
                b"\r\n",
                b"Host: h",
                b"Content-Length: 3",
                b"Transfer-Encoding: chunked",
                b"5",
                b"abc",
                b":",
                b"\0",
            ]
        )
    ).map(b"".join)
    | st.binary(max_size=99),
    st.integers(1, 50),
)
def test_garbage_is_refused_or_waited_for_never_more(data: bytes, step: int) -> None:
    reader = RequestReader()
    try:
        for start in range(0, len(data), step):
            reader.feed(data[start : start + step])
            if reader.next_request():
                while reader.next_chunk():
                    pass
                reader.restart()
    except h11.RemoteProtocolError as error:
        assert 400 <= error.error_status_hint < 600
