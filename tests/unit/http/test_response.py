"""How heads are written."""

import pytest

from corten.http.response import HeadWriter, Response, encode_plain_head


def test_a_head_has_common_fields_date_and_framing() -> None:
    head = HeadWriter([("Server", "x")]).encode(
        Response(201, b"", "application/json", [("A", "b")]), framing=b"Content-Length: 0\r\n", close=True
    )
    status, *fields = head.decode().split("\r\n")
    assert status == "HTTP/1.1 201 Created"
    assert [field.partition(":")[0] for field in fields] == ["Server", "Content-Type", "A", "Date", "Connection", "Content-Length", "", ""]
    assert fields[3].endswith(" GMT")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\rb"])
def test_a_value_cannot_add_a_field(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_plain_head("HTTP/1.1 200 OK", [("X", value)])


def test_a_taken_over_socket_gets_docker_s_head() -> None:
    head = encode_plain_head("HTTP/1.1 101 UPGRADED", [("Content-Type", "t"), ("Connection", "Upgrade"), ("Upgrade", "tcp")])
    assert head == b"HTTP/1.1 101 UPGRADED\r\nContent-Type: t\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
