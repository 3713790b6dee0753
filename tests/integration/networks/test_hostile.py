"""A container with raw sockets against the host and its neighbours: what must not get through."""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.integration.network_world import OUTSIDE, OUTSIDE6, Caller, World

pytestmark = [pytest.mark.privileged]
PORT = 7777
ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram4(source: str, target: str, text: bytes) -> bytes:
    udp = struct.pack("!HHHH", 5353, PORT, 8 + len(text), 0) + text
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, ip_address(source).packed, ip_address(target).packed)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def packet6(source: str, target: str, kind: int, payload: bytes, *, sum_at: int, hops: int = 64) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    total = checksum(ends + struct.pack("!IxxxB", len(payload), kind) + payload)
    payload = payload[:sum_at] + struct.pack("!H", total) + payload[sum_at + 2 :]
    return struct.pack("!IHBB", 6 << 28, len(payload), kind, hops) + ends + payload


def datagram6(source: str, target: str, text: bytes) -> bytes:
    return packet6(source, target, 17, struct.pack("!HHHH", 5353, PORT, 8 + len(text), 0) + text, sum_at=6)


def mac_of(link: str) -> bytes:
    return bytes.fromhex(Path(f"/sys/class/net/{link}/address").read_text().strip().replace(":", ""))


def mac_in(caller: Caller, link: str) -> bytes:
    """/sys shows the namespace of its mount: ask the kernel."""

    def ask() -> bytes:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((link, 0))
            mac: bytes = sock.getsockname()[4]
            return mac

    mac: bytes = caller.run(ask)
    return mac


def send_frame(to: bytes, kind: int, payload: bytes) -> Callable[[], None]:
    """To be called in a container: one frame as it stands, whoever it says it is from."""

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("eth0", 0))
            sock.send(to + sock.getsockname()[4] + struct.pack("!H", kind) + payload)

    return send


@contextmanager
def heard(caller: Caller, family: int = socket.AF_INET) -> Iterator[Callable[[], list[bytes]]]:
    """What arrives at PORT in the caller's namespace, up to the text "end"."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            caller.run(lambda: _listen(family, told))
        os._exit(0)
    os.close(told)

    def collect() -> list[bytes]:
        os.waitpid(pid, 0)
        return [line for line in os.read(ready, 65536).splitlines() if line]

    try:
        assert os.read(ready, 1) == b"r"
        yield collect
    finally:
        os.close(ready)


def _listen(family: int, report: int) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("", PORT))
        sock.settimeout(3)
        os.write(report, b"r")
        with suppress(TimeoutError):
            while (text := sock.recv(1000)) != b"end":
                os.write(report, text + b"\n")


def test_a_source_in_127_does_not_reach_the_host(world: World) -> None:
    """route_localnet is on for the bridge: what comes from there with such a source looks like the host itself."""
    bad = world.run("bad")
    gateway, own = world.inspect("bad")["NetworkSettings"]["Gateway"], world.address("bad")
    bridge = mac_in(world.host, "corten0") if "corten0" in _links(world.host) else b""
    with heard(world.host) as collect:
        for source, text in ((own, b"own"), ("127.0.0.1", b"spoofed"), (own, b"end")):
            bad.run(send_frame(bridge, ETH_P_IP, datagram4(source, gateway, text)))
        bad.run(send_frame(bridge, ETH_P_IP, datagram4(own, "127.0.0.1", b"to-loopback")))
        assert collect() == [b"own"]
    world.remove("bad")


def _links(caller: Caller) -> list[str]:
    names: list[str] = caller.run(lambda: [name for _, name in socket.if_nameindex()])
    return names


def test_a_foreign_source_does_not_leave_the_host(world: World, outside: Caller) -> None:
    """Neither an address of nobody, nor one of a network that has no way out: its answers would find a way in."""
    world.network("back", Internal=True)
    world.run("victim", network="back")
    bad = world.run("bad")
    bridge, own = mac_in(world.host, "corten0"), world.address("bad")
    with heard(outside) as collect:
        for source, text in ((own, b"own"), ("203.0.113.9", b"nobody"), (world.address("victim", "back"), b"victim"), (own, b"end")):
            bad.run(send_frame(bridge, ETH_P_IP, datagram4(source, OUTSIDE, text)))
        assert collect() == [b"own"]
    world.remove("bad", "victim")
    world.remove_networks("back")


def test_a_foreign_source_does_not_leave_the_host_by_ipv6(world: World, outside: Caller) -> None:
    identifier = world.network("six", EnableIPv6=True)
    bad = world.run("bad", network="six")
    bridge, own = mac_in(world.host, f"br-{identifier[:12]}"), world.address("bad", "six", "GlobalIPv6Address")
    with heard(outside, socket.AF_INET6) as collect:
        for source, text in ((own, b"own"), ("2001:db8:7::9", b"nobody"), (own, b"end")):
            bad.run(send_frame(bridge, ETH_P_IPV6, datagram6(source, OUTSIDE6, text)))
        assert collect() == [b"own"]
    world.remove("bad")
    world.remove_networks("six")


def advertisement(prefix: str) -> bytes:
    """A router advertisement: I am the default router, and this is your prefix."""
    option = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 86400, 0) + ip_network(prefix).network_address.packed
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option
    return packet6("fe80::bad", "ff02::1", 58, body, sum_at=2, hops=255)


def test_nobody_believes_a_container_that_says_it_is_a_router(world: World) -> None:
    identifier = world.network("six", EnableIPv6=True)
    world.run("victim", network="six")
    bad = world.run("bad", network="six")
    before = world.exec("victim", "ip", "-6", "route")
    for _ in range(3):
        bad.run(send_frame(b"\x33\x33\0\0\0\1", ETH_P_IPV6, advertisement("2001:db8:bad::/64")))
        time.sleep(0.1)
    assert world.exec("victim", "ip", "-6", "route") == before
    assert "2001:db8:bad" not in world.exec("victim", "ip", "addr")
    routes = world.host.run(lambda: Path("/proc/thread-self/net/ipv6_route").read_text())
    assert "20010db80bad" not in routes
    assert f"br-{identifier[:12]}" in routes
    world.remove("victim", "bad")
    world.remove_networks("six")


def test_frames_do_not_pass_between_isolated_ports(world: World) -> None:
    """Without icc: neither straight to the neighbour's MAC address, nor by way of the gateway."""
    identifier = world.network("alone", Options={"com.docker.network.bridge.enable_icc": "false"})
    victim = world.run("victim", network="alone")
    bad = world.run("bad", network="alone")
    at, own = world.address("victim", "alone"), world.address("bad", "alone")
    direct, gateway = mac_in(victim, "eth0"), mac_in(world.host, f"br-{identifier[:12]}")
    with heard(victim) as collect:
        for to, text in ((direct, b"direct"), (b"\xff" * 6, b"broadcast"), (gateway, b"by the gateway")):
            bad.run(send_frame(to, ETH_P_IP, datagram4(own, at, text)))

        def end() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"end", (at, PORT))

        world.host.run(end)
        assert collect() == []
    world.remove("victim", "bad")
    world.remove_networks("alone")


def claim(address: str, mac: bytes) -> bytes:
    """An ARP answer that nobody asked for, to everybody: `address` is at `mac`."""
    packed = ip_address(address).packed
    return struct.pack("!HHBBH6s4s6s4s", 1, ETH_P_IP, 6, 4, 2, mac, packed, b"\xff" * 6, packed)


def test_forged_arp_ends_at_its_own_network(world: World) -> None:
    """A container claims the addresses of another network and of the host: who is not on its wire does not hear of it, the host
    believes nothing of a network that is elsewhere."""
    world.network("near")
    world.network("far")
    world.serve("web", network="far")
    client = world.run("client", network="far")
    bad = world.run("bad", network="near")
    mine, web = mac_in(bad, "eth0"), world.address("web", "far")
    gateway = world.inspect("client")["NetworkSettings"]["Networks"]["far"]["Gateway"]
    for _ in range(3):
        assert world.host.http(web, 80).startswith("web ")
        assert client.http(web, 80).startswith("web ")
        for address in (web, gateway):
            bad.run(send_frame(b"\xff" * 6, ETH_P_ARP, claim(address, mine)))
        time.sleep(0.1)
    shown = mine.hex(":")
    for caller, address in ((world.host, web), (client, web)):
        table = caller.run(lambda: Path("/proc/thread-self/net/arp").read_text())
        rows = [line.split() for line in table.splitlines()[1:]]
        assert [row[3] for row in rows if row[0] == address] == [mac_in(world.caller("web"), "eth0").hex(":")]
        assert shown not in [row[3] for row in rows if row[0] in (web, gateway)]
    world.remove("web", "client", "bad")
    world.remove_networks("near", "far")


def test_neighbours_meet_on_a_network_that_the_host_is_not_on(world: World) -> None:
    """No address of the bridge, so no route of the host: their own addresses are not foreign for that."""
    options = {f"com.docker.network.bridge.gateway_mode_ipv{version}": "isolated" for version in (4, 6)}
    world.network("lone", Internal=True, EnableIPv6=True, Options=options)
    world.serve("one", network="lone")
    two = world.run("two", network="lone")
    assert two.http(world.address("one", "lone"), 80).startswith("one ")
    assert two.http(world.address("one", "lone", "GlobalIPv6Address"), 80).startswith("one ")
    world.remove("one", "two")
    world.remove_networks("lone")
