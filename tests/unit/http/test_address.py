"""Addresses as users write them."""

import pytest

from corten.errors import Invalid
from corten.http.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:///run/corten/corten.sock", Address("unix", path="/run/corten/corten.sock")),
        ("/run/x.sock", Address("unix", path="/run/x.sock")),
        ("tcp://127.0.0.1:2375", Address("tcp", host="127.0.0.1", port=2375)),
        ("tcp://[::1]:99", Address("tcp", host="::1", port=99)),
        ("tcp://host", Address("tcp", host="host", port=2375)),
        ("http://host:80/", Address("tcp", host="host", port=80)),
        ("host:1", Address("tcp", host="host", port=1)),
        ("tcp://:2375", Address("tcp", host="127.0.0.1", port=2375)),
        ("fd://", Address("fd")),
        ("fd://4", Address("fd", path="4")),
    ],
)
def test_known_forms(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


def test_tls_has_its_own_port() -> None:
    assert parse_address("tcp://host", tls=True).port == 2376


@pytest.mark.parametrize("text", ["unix://", "ftp://x", "tcp://h:99999", "tcp://h:x", "tcp://[::1", "tcp://[::1]x"])
def test_bad_forms(text: str) -> None:
    with pytest.raises(Invalid, match="invalid bind address format"):
        parse_address(text)


@pytest.mark.parametrize("text", ["unix:///run/x.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:99"])
def test_addresses_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_address(text)) == text
