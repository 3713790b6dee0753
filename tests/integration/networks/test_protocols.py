"""SCTP and UDP by published ports. Where the kernel has no SCTP sockets, hand-made packets show that it is translated all the same."""

import os
import socket
import struct
from contextlib import suppress

import pytest

from tests.integration.network_world import INSIDE, Caller, World, answering

pytestmark = [pytest.mark.privileged]
SCTP = 132
PORTS = {"7000/sctp": [{"HostPort": "9000"}]}


def crc32c(data: bytes) -> int:
    """Castagnoli, bit by bit (RFC 9260, appendix A)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def packet(source: int, target: int, tag: int, kind: int, own_tag: int) -> bytes:
    """INIT (1) or INIT ACK (2): common header and one chunk; the acknowledgement carries a cookie."""
    chunk = struct.pack("!IIHHI", own_tag, 65536, 1, 1, 1)
    if kind == 2:
        chunk += struct.pack("!HH4s", 7, 8, b"cook")
    body = struct.pack("!BBH", kind, 0, len(chunk) + 4) + chunk
    head = struct.pack("!HHI", source, target, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + body)) + body


def intact(data: bytes) -> bool:
    return struct.pack("<I", crc32c(data[:8] + bytes(4) + data[12:])) == data[8:12]


def raw() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP)
    sock.settimeout(3)
    return sock


def answer_once(report: int) -> None:
    """Answer the first INIT, and write it to `report`."""
    with raw() as sock:
        os.write(report, b"r")
        data, peer = sock.recvfrom(4096)
        seen = data[20:]
        source, target = struct.unpack("!HH", seen[:4])
        (tag,) = struct.unpack("!I", seen[16:20])
        sock.sendto(packet(target, source, tag, 2, 222), (peer[0], 0))
        os.write(report, seen)


def call() -> bytes:
    """The answer to an INIT."""
    with raw() as sock:
        sock.sendto(packet(4000, 9000, 0, 1, 111), (INSIDE, 0))
        while True:
            data, _ = sock.recvfrom(4096)
            if data[20 + 12] == 2:
                return data[20:]


def test_sctp_is_translated_both_ways(world: World, outside: Caller) -> None:
    """Ports, and the checksum that covers them."""
    inside = world.run("web", PortBindings=PORTS)
    shown = world.inspect("web")["NetworkSettings"]["Ports"]["7000/sctp"]
    assert shown == [{"HostIp": "0.0.0.0", "HostPort": "9000"}, {"HostIp": "::", "HostPort": "9000"}]
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            inside.run(lambda: answer_once(told))
        os._exit(0)
    os.close(told)
    try:
        assert os.read(ready, 1) == b"r"
        answer: bytes = outside.run(call)
        seen = os.read(ready, 4096)
    finally:
        os.close(ready)
        os.waitpid(pid, 0)
    assert struct.unpack("!HH", seen[:4]) == (4000, 7000)
    assert struct.unpack("!HH", answer[:4]) == (9000, 4000)
    assert intact(seen)
    assert intact(answer)
    world.remove("web")


def test_an_sctp_port_is_one_container_s(world: World) -> None:
    world.run("one", PortBindings=PORTS)
    world.create("two", PortBindings=PORTS)
    answer = world.daemon.call("POST", "/containers/two/start")
    assert answer.status == 500
    assert answer.json()["message"].endswith("Bind for 0.0.0.0:9000 failed: port is already allocated")
    world.run("tcp", PortBindings={"7000/tcp": [{"HostPort": "9000"}]})
    world.remove("one", "two", "tcp")


def ask() -> str:
    """From one port, which the kernel remembers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.bind(("0.0.0.0", 40000))
        sock.settimeout(1)
        sock.sendto(b"?", (INSIDE, 7000))
        return sock.recv(100).decode()
    return ""


def test_datagrams_forget_a_container_that_stops(world: World, outside: Caller) -> None:
    """The flow of one peer: nobody, while the container is stopped; then the same one at another address."""
    ports = {"7000/udp": [{"HostPort": "7000"}]}
    with answering(world.run("web", PortBindings=ports), 7000, "first"):
        assert outside.run(ask) == "first"
        world.daemon.call("POST", "/containers/web/stop?t=0").ok()
    assert outside.run(ask) == ""
    world.run("taker")
    world.daemon.call("POST", "/containers/web/start").ok()
    assert world.address("web") != world.address("taker")
    with answering(world.caller("web"), 7000, "second"):
        assert outside.run(ask) == "second"
    world.remove("web", "taker")
