"""The embedded name server, asked from inside containers."""

import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from dnslib import EDNS0, QTYPE, RCODE, DNSRecord

from tests.integration.network_world import Caller, World, lookup
from tests.integration.networks.dns_upstream import GOOD, MANY, upstream

pytestmark = [pytest.mark.privileged]


@pytest.fixture
def front(world: World) -> Iterator[World]:
    world.network("front")
    yield world
    for container in world.daemon.call("GET", "/containers/json?all=1").ok():
        world.remove(container["Id"])
    world.remove_networks("front")


def ask(caller: Caller, name: str, kind: str = "A", *, size: int = 0, tcp: bool = False) -> DNSRecord:
    """The whole answer of 127.0.0.11. `size`: with EDNS."""

    def body() -> bytes:
        question = DNSRecord.question(name, kind)
        if size:
            question.add_ar(EDNS0(udp_len=size))
        query = question.pack()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.11", 53))
            sock.sendall(struct.pack("!H", len(query)) + query if tcp else query)
            data = sock.recv(65535)
            while tcp and len(data) < 2 + struct.unpack("!H", data[:2])[0]:
                data += sock.recv(65535)
        return data[2:] if tcp else data

    return DNSRecord.parse(caller.run(body))


def values(record: DNSRecord) -> list[str]:
    return [str(rr.rdata) for rr in record.rr]


@contextmanager
def resolver_of_the_host(world: World, text: str, tmp_path: Path) -> Iterator[None]:
    """Another /etc/resolv.conf for the daemon, in its own mount namespace."""
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    inside = ["nsenter", f"--mount=/proc/{world.daemon.namespace_pid}/ns/mnt"]
    subprocess.run([*inside, "mount", "--bind", str(path), "/etc/resolv.conf"], check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "umount", "/etc/resolv.conf"], check=True)


def test_a_host_whose_own_server_is_on_its_loopback(front: World, tmp_path: Path) -> None:
    """systemd-resolved: only the host reaches 127.0.0.53, so the daemon asks in its place; search and options are the container's."""
    text = "nameserver 127.0.0.53\nsearch corp.example lab.example\noptions edns0 trust-ad\n"
    with resolver_of_the_host(front, text, tmp_path), upstream(front.host, "127.0.0.53"):
        one = front.run("one", network="front")
        assert one.run(lambda: lookup("www.example.org")) == [GOOD]
        lines = front.exec("one", "cat", "/etc/resolv.conf").splitlines()
        assert "nameserver 127.0.0.11" in lines
        assert "search corp.example lab.example" in lines
        assert "options edns0 trust-ad ndots:0" in lines
        front.daemon.kill()
        front.daemon.start()
        assert one.run(lambda: lookup("www.example.org")) == [GOOD], "a new daemon asks the same servers"


def test_servers_search_and_options_of_ones_own(front: World) -> None:
    server = front.run("server", network="front")
    asked = {"Dns": [front.address("server", "front")], "DnsSearch": ["a.example", "b.example"], "DnsOptions": ["ndots:3", "timeout:1"]}
    with upstream(server):
        one = front.run("one", network="front", **asked)
        assert one.run(lambda: lookup("www.example.org")) == [GOOD], "asked from inside: the server is a container"
        shown = front.exec("one", "cat", "/etc/resolv.conf").splitlines()
        assert [line for line in shown if line and not line.startswith("#")] == [
            "nameserver 127.0.0.11",
            "search a.example b.example",
            "options ndots:3 timeout:1",
        ]
    front.run("plain", Dns=["192.0.2.53"], DnsSearch=["."], DnsOptions=["rotate"])
    shown = front.exec("plain", "cat", "/etc/resolv.conf").splitlines()
    assert [line for line in shown if line and not line.startswith("#")] == ["nameserver 192.0.2.53", "options rotate"]


def test_edns_is_passed_on_and_answered(front: World) -> None:
    server = front.run("server", network="front")
    with upstream(server):
        one = front.run("one", network="front", Dns=[front.address("server", "front")])
        found = ask(one, "edns.example", "TXT", size=1400)
        assert values(found) == ['"1400"'], "the size that the client takes is the question's"
        assert [extra.rclass for extra in found.ar if extra.rtype == QTYPE.OPT] == [1400]
        assert values(ask(one, "edns.example", "TXT")) == ['"none"']
    own = ask(one, "server", size=4096)
    assert values(own) == [front.address("server", "front")]
    assert [extra.rtype for extra in own.ar] == [QTYPE.OPT], "a client that speaks EDNS is answered so"
    assert ask(one, "server").ar == []


def test_an_answer_that_was_cut_is_asked_for_by_tcp(front: World) -> None:
    server = front.run("server", network="front")
    with upstream(server):
        one = front.run("one", network="front", Dns=[front.address("server", "front")])
        short = ask(one, "big.example")
        assert (short.header.tc, values(short)) == (1, [])
        assert values(ask(one, "big.example", tcp=True)) == MANY


def test_forged_answers_are_not_taken(front: World) -> None:
    server = front.run("server", network="front")
    with upstream(server):
        one = front.run("one", network="front", Dns=[front.address("server", "front")])
        for _ in range(5):
            assert values(ask(one, "forged.example")) == [GOOD]


def test_a_server_that_refuses_is_not_the_last(front: World) -> None:
    first, second = front.run("first", network="front"), front.run("second", network="front")
    servers = [front.address("first", "front"), front.address("second", "front")]
    with upstream(first), upstream(second, says="192.0.2.2"):
        one = front.run("one", network="front", Dns=servers)
        assert values(ask(one, "www.example")) == [GOOD]
        assert ask(one, "refused.example").header.rcode == RCODE.REFUSED, "when all refuse, that is the answer"
    with upstream(second, says="192.0.2.2"):
        assert values(ask(one, "www.example")) == ["192.0.2.2"], "the first one is gone"


def test_what_a_name_answers(front: World) -> None:
    """Aliases in turn, addresses have names, short ids, other types of a known name are empty and no error."""
    for name in ("a1", "a2", "a3"):
        front.run(name, network="front", Endpoint={"Aliases": ["pool"]})
    one = front.run("one", network="front")
    at = {name: front.address(name, "front") for name in ("a1", "a2", "a3")}
    answers = [values(ask(one, "pool")) for _ in range(6)]
    assert {tuple(sorted(answer)) for answer in answers} == {tuple(sorted(at.values()))}
    assert {answer[0] for answer in answers} == set(at.values()), "every one comes first in turn"
    assert values(ask(one, front.inspect("a1")["Id"][:12])) == [at["a1"]]
    assert values(ask(one, "A1.Front")) == [at["a1"]]
    reverse = ".".join(reversed(at["a2"].split("."))) + ".in-addr.arpa"
    assert values(ask(one, reverse, "PTR")) == ["a2.front."]
    for kind in ("AAAA", "MX", "TXT", "SRV"):
        found = ask(one, "a1", kind)
        assert (found.header.rcode, found.rr) == (RCODE.NOERROR, []), kind
    front.daemon.call("POST", "/containers/a3/stop?t=0").ok()
    assert sorted(values(ask(one, "pool"))) == sorted((at["a1"], at["a2"])), "a stopped container is not answered"
    front.daemon.call("POST", "/networks/front/disconnect", {"Container": "a2"}).ok()
    assert values(ask(one, "pool")) == [at["a1"]]
    front.daemon.call("POST", "/networks/front/connect", {"Container": "a2", "EndpointConfig": {"Aliases": ["pool"]}}).ok()
    assert len(values(ask(one, "pool"))) == 2
    front.daemon.call("POST", "/containers/a3/start").ok()
    assert len(values(ask(one, "pool"))) == 3


def nonsense() -> list[bytes]:
    valid = DNSRecord.question("one").pack()
    return [
        b"",
        b"\0",
        valid[:11],
        valid[:-1],
        valid[:4] + b"\0\2" + valid[6:],
        valid[:12] + b"\xc0\x0c\0\1\0\1",  # a name that points at itself
        valid[:12] + b"\x3f" * 4000,
        valid[:2] + b"\x80\0" + valid[4:],  # an answer
        valid[:2] + b"\x28\0" + valid[4:],  # an update
        os.urandom(512),
        os.urandom(60000),
    ]


def test_nonsense_does_not_stop_the_server(front: World) -> None:
    one = front.run("one", network="front")

    def by_datagrams() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in nonsense() * 20:
                with suppress(OSError):
                    sock.sendto(data, ("127.0.0.11", 53))

    def by_streams() -> None:
        for data in nonsense():
            with socket.create_connection(("127.0.0.11", 53), 5) as sock, suppress(OSError):
                sock.sendall(struct.pack("!H", len(data)) + data)
        for data in (b"", b"\xff", b"\xff\xff", b"\0\0", b"\0\5abc"):
            with socket.create_connection(("127.0.0.11", 53), 5) as sock, suppress(OSError):
                sock.sendall(data)

    one.run(by_datagrams)
    one.run(by_streams)
    assert values(ask(one, "one")) == [front.address("one", "front")]
    assert values(ask(one, "one", tcp=True)) == [front.address("one", "front")]
    assert front.daemon.call("GET", "/_ping").status == 200
    log = front.daemon.log.read_text()
    assert "Traceback" not in log, log[-3000:]


def test_connections_that_say_nothing_do_not_keep_others_out(front: World) -> None:
    one = front.run("one", network="front")

    def hold_and_ask() -> Any:
        held = [socket.create_connection(("127.0.0.11", 53), 5) for _ in range(200)]
        try:
            return lookup("one")
        finally:
            for sock in held:
                sock.close()

    assert one.run(hold_and_ask) == [front.address("one", "front")]
    assert values(ask(one, "one", tcp=True)) == [front.address("one", "front")]


def test_what_is_no_single_question_is_refused_at_once(front: World) -> None:
    one = front.run("one", network="front")
    query = DNSRecord.question("one").pack()

    def codes() -> list[int]:
        found = []
        for data in (query[:2] + b"\x29\0" + query[4:], query[:4] + b"\0\2" + query[6:]):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(3)
                sock.sendto(data, ("127.0.0.11", 53))
                found.append(sock.recv(512)[3] & 0xF)
        return found

    assert one.run(codes) == [RCODE.NOTIMP, RCODE.FORMERR]
