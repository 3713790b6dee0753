"""The wire format, on bytes that Go's encoder wrote and on bytes that nobody should write."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.api.buildkit.messages.session import Packet, Stat
from corten.api.buildkit.messages.solve import Exporter, SolveRequest
from corten.api.buildkit.messages.worker import RpcStatus
from corten.http.grpc import protobuf as pb
from corten.http.grpc.protobuf import DEEPEST, BadMessage, decode, encode

LISTED = bytes.fromhex("121e0a0d2e646f636b657269676e6f726510a403280630e0edd9f48b9ac2f518")
"""A STAT packet as buildx sent it: .dockerignore, 0644, 6 bytes."""


def test_what_go_wrote() -> None:
    packet = decode(Packet, LISTED)
    assert packet.stat is not None
    assert (packet.stat.path, packet.stat.mode, packet.stat.size) == (".dockerignore", 0o644, 6)
    assert encode(packet) == LISTED


def test_nothing_is_all_defaults() -> None:
    assert decode(Packet, b"") == Packet()
    assert encode(Packet()) == b""


def test_an_empty_message_is_not_none() -> None:
    assert decode(Packet, encode(Packet(0, Stat()))) == Packet(0, Stat())


def test_maps_and_lists() -> None:
    request = SolveRequest(ref="r", exporters=[Exporter("moby", {"name": "a,b", "push": ""})], entitlements=["x", "y"])
    assert decode(SolveRequest, encode(request)) == request


def test_negative_numbers_are_ten_bytes() -> None:
    assert decode(Stat, encode(Stat(mod_time=-1))).mod_time == -1


def test_unknown_fields_are_skipped() -> None:
    extra = bytes([15 << 3 | 0, 5, 14 << 3 | 1, *range(8), 13 << 3 | 5, *range(4), 12 << 3 | 2, 1, 65])
    assert decode(Packet, extra + encode(Packet(3))) == Packet(3)


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # ends inside a number
        b"\x08" + b"\xff" * 11,  # a number without end
        b"\x22\xff\xff\xff\xff\x0f",  # bytes beyond the message
        b"\x0b",  # a group
        b"\x12\x02\x0a\x05",  # a message that ends inside
        b"\x0a\x00",  # bytes where a number is due
        b"\x20\x01",  # a number where bytes are due
        b"\x12\x04\x0a\x02\xff\xfe",  # no UTF-8
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(Packet, data)


@dataclass(slots=True)
class Nest:
    inner: Any = pb.message(1, lambda: Nest)  # noqa: RUF009


def test_no_message_is_deeper_than_the_limit() -> None:
    value = Nest()
    for _ in range(DEEPEST):
        value = Nest(value)
    assert decode(Nest, encode(value)) == value
    with pytest.raises(BadMessage):
        decode(Nest, encode(Nest(value)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for kind in (Packet, SolveRequest, RpcStatus):
        try:
            found = decode(kind, data)
        except BadMessage:
            continue
        assert isinstance(found, kind)
        assert decode(kind, encode(found)) == found


@given(
    st.text(max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(st.text(max_size=5), st.binary(max_size=9)),
)
def test_round_trip(path: str, mode: int, moment: int, xattrs: dict[str, bytes]) -> None:
    packet = Packet(0, Stat(path, mode, mod_time=moment, xattrs=xattrs))
    assert decode(Packet, encode(packet)) == packet
