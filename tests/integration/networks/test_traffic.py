"""Packets that must arrive and packets that must not, between namespaces that the tests make."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.network_world import INSIDE, INSIDE6, OUTSIDE, OUTSIDE6, Caller, World, answering, lookup

pytestmark = [pytest.mark.privileged]


def test_containers_reach_out_and_are_masqueraded(world: World, outside: Caller) -> None:
    inside = world.run("one")
    with answering(outside, 7000, "hello"):
        assert inside.udp(OUTSIDE, 7000) == "hello"
    world.remove("one")


def test_a_published_port_is_reached_from_everywhere(world: World, outside: Caller) -> None:
    own = world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    sibling = world.run("sibling")
    world.network("other")
    stranger = world.run("stranger", network="other")
    assert outside.http(INSIDE, 8080) == f"web {OUTSIDE}", "the caller's own address is seen"
    assert outside.http(INSIDE6, 8080).startswith("web ")
    for address in ("127.0.0.1", "::1", INSIDE):
        assert world.host.http(address, 8080).startswith("web "), address
    for caller in (own, sibling, stranger):
        assert caller.http(INSIDE, 8080).startswith("web ")
    world.remove("web", "sibling", "stranger")
    world.remove_networks("other")
    assert world.host.http("127.0.0.1", 8080, timeout=0.5) == ""


def test_only_published_ports_are_reached(world: World, outside: Caller) -> None:
    world.serve("web", PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]})
    address = world.address("web")
    assert world.host.http(address, 80).startswith("web "), "the host itself may"
    assert outside.http(address, 80, timeout=1) == "", "a neighbour who routes to the container's network may not"
    assert outside.http(INSIDE, 8080, timeout=1) == "", "nor by a port of the host's loopback"
    assert world.host.http("127.0.0.1", 8080).startswith("web ")
    world.remove("web")


def test_spoofed_loopback_does_not_pass(world: World) -> None:
    """A container that routes 127.0.0.0/8 to its gateway does not reach the host's loopback, nor ports published on it."""
    world.serve("web", PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]})
    bad = world.run("bad", Privileged=True)

    def route_loopback_out() -> None:
        Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")
        for command in (("addr", "del", "127.0.0.1/8", "dev", "lo"), ("route", "add", "127.0.0.0/8", "via", "172.17.0.1")):
            subprocess.run(["ip", *command], check=True)

    bad.run(route_loopback_out)
    assert bad.http("127.0.0.1", 8080, timeout=1) == ""
    world.remove("web", "bad")


def test_networks_do_not_reach_each_other(world: World) -> None:
    world.network("front")
    world.network("back", Internal=True)
    front = world.serve("f1", network="front")
    world.serve("b1", network="back")
    back = world.caller("b1")
    world.serve("d1")
    for target, network in (("b1", "back"), ("d1", "bridge")):
        assert front.http(world.address(target, network), 80, timeout=1) == ""
    for target, network in (("f1", "front"), ("d1", "bridge")):
        assert back.http(world.address(target, network), 80, timeout=1) == ""
    sibling = world.run("b2", network="back")
    assert sibling.http(world.address("b1", "back"), 80).startswith("b1 ")
    world.remove("f1", "b1", "d1", "b2")
    world.remove_networks("front", "back")


def test_an_internal_network_has_no_way_out(world: World, outside: Caller) -> None:
    world.network("back", Internal=True)
    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    inner = world.run("inner", network="back", Privileged=True)

    def route_out() -> None:
        gateway = "172.18.0.1"
        subprocess.run(["ip", "route", "add", "default", "via", gateway], check=True)

    inner.run(route_out)
    assert inner.udp(OUTSIDE, 53, timeout=0.5) == ""
    assert inner.http(INSIDE, 8080, timeout=1) == "", "not even to a published port of another network"
    assert inner.run(lambda: lookup("example.com")) == ["SERVFAIL"], "names are not asked outside"
    world.remove("web", "inner")
    world.remove_networks("back")


def test_without_icc_containers_are_alone(world: World) -> None:
    world.network("alone", Options={"com.docker.network.bridge.enable_icc": "false"})
    world.serve("a1", network="alone")
    b = world.run("b1", network="alone")
    assert b.http(world.address("a1", "alone"), 80, timeout=1) == ""
    assert world.host.http(world.address("a1", "alone"), 80).startswith("a1 ")
    world.remove("a1", "b1")
    world.remove_networks("alone")


def test_datagrams_are_published_and_forgotten(world: World, outside: Caller) -> None:
    """A flow that the kernel knows must not go on to the address of a container that is gone."""
    ports = {"7000/udp": [{"HostPort": "7000"}]}
    with answering(world.run("first", PortBindings=ports), 7000, "first"):
        assert outside.run(ask_twice) == ["first", "first"]
        assert world.host.udp("::1", 7000) == "first"
    world.remove("first")
    blocker = world.run("blocker")
    with answering(world.run("second", PortBindings=ports), 7000, "second"):
        assert outside.run(ask_twice) == ["second", "second"]
        assert blocker.udp(INSIDE, 7000) == "second"
    world.remove("second", "blocker")


def ask_twice() -> list[str]:
    """From one port, which the kernel remembers."""
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 40000))
        sock.settimeout(2)
        for _ in range(2):
            sock.sendto(b"?", (INSIDE, 7000))
            answers.append(sock.recv(100).decode())
    return answers


def test_ipv6_is_as_open_and_as_strict(world: World, outside: Caller) -> None:
    world.network("six", EnableIPv6=True)
    world.network("seven", EnableIPv6=True)
    world.serve("web", network="six", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    address = world.address("web", "six", "GlobalIPv6Address")
    sibling = world.run("sibling", network="six")
    stranger = world.run("stranger", network="seven")
    assert sibling.http(address, 80).startswith("web ")
    assert sibling.run(lambda: lookup("web", "AAAA")) == [address]
    assert stranger.http(address, 80, timeout=1) == ""
    assert outside.http(address, 80, timeout=1) == ""
    assert outside.http(INSIDE6, 8080) == f"web {OUTSIDE6}"
    assert world.host.http("::1", 8080).startswith("web ")
    world.remove("web", "sibling", "stranger")
    world.remove_networks("six", "seven")


def test_a_flushed_rule_set_is_written_again(world: World, outside: Caller) -> None:
    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    subprocess.run(["nsenter", f"--net=/proc/{world.host.pid}/ns/net", "nft", "flush", "ruleset"], check=True)
    assert any(outside.http(INSIDE, 8080, timeout=1).startswith("web ") for _ in range(20))
    world.remove("web")


def test_names_and_ports_survive_the_daemon(world: World, outside: Caller) -> None:
    world.network("front", EnableIPv6=True)
    world.serve("web", network="front", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    client = world.run("client", network="front")
    address = world.address("web", "front")
    assert client.run(lambda: lookup("web")) == [address]
    world.daemon.kill()
    assert outside.http(INSIDE, 8080).startswith("web "), "published ports need no daemon"
    world.daemon.start()
    assert client.run(lambda: lookup("web")) == [address]
    assert outside.http(INSIDE, 8080).startswith("web ")
    assert world.host.http("::1", 8080).startswith("web ")
    fresh = world.run("fresh", network="front")
    assert world.address("fresh", "front") not in (address, world.address("client", "front"))
    assert fresh.run(lambda: lookup("client")) == [world.address("client", "front")]
    world.remove("web", "client", "fresh")
    world.remove_networks("front")


def test_a_container_may_run_a_name_server_itself(world: World) -> None:
    world.network("front")
    own = world.run("own", network="front")
    with answering(own, 53, "mine"):
        assert own.udp("127.0.0.1", 53) == "mine"
        assert own.run(lambda: lookup("own")) == [world.address("own", "front")]
    world.remove("own")
    world.remove_networks("front")


def test_a_port_of_a_host_program_is_refused_and_kept_from_it(world: World) -> None:
    def listen(port: int) -> str:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", port))
                sock.listen()
            except OSError as error:
                return str(error.strerror)
        return "ok"

    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    assert world.host.run(lambda: listen(8080)) == "Address already in use"
    world.remove("web")
    assert world.host.run(lambda: listen(8080)) == "ok"


def recorded_state(world: World) -> dict[str, list[str]]:
    """What the engine says: bridges, the running containers' addresses, published ports."""
    found: dict[str, list[str]] = {"bridges": [], "ports": []}
    for network in world.daemon.call("GET", "/networks").ok():
        if network["Driver"] == "bridge":
            found["bridges"].append(network["Options"].get("com.docker.network.bridge.name", f"br-{network['Id'][:12]}"))
    for container in world.daemon.call("GET", "/containers/json").ok():
        settings = world.inspect(container["Id"])["NetworkSettings"]
        found[container["Id"]] = sorted(endpoint["IPAddress"] for endpoint in settings["Networks"].values())
        found["ports"] += [b["HostPort"] for bound in settings["Ports"].values() for b in bound or () if b["HostIp"] == "0.0.0.0"]
    return {key: sorted(values) for key, values in found.items()}


def kernel_state(world: World) -> dict[str, list[str]]:
    """The same, as links, addresses and rules have it."""
    enter = ["nsenter", f"--net=/proc/{world.host.pid}/ns/net"]

    def said(pid_net: list[str], *command: str) -> str:
        return subprocess.run([*pid_net, *command], capture_output=True, text=True, check=True).stdout

    found = {"bridges": re.findall(r"^\d+: ([\w-]+):", said(enter, "ip", "-o", "link", "show", "type", "bridge"), re.MULTILINE)}
    found["ports"] = re.findall(r"tcp \. (\d+) : \d+\.", said(enter, "nft", "list", "ruleset"))
    for container in world.daemon.call("GET", "/containers/json").ok():
        inside = ["nsenter", f"--net=/proc/{world.inspect(container['Id'])['State']['Pid']}/ns/net"]
        found[container["Id"]] = re.findall(r"inet (\d[\d.]+)/\d+ .*global", said(inside, "ip", "-o", "-4", "addr"))
    return {key: sorted(values) for key, values in found.items()}


def test_kills_during_connect_and_publish_leak_nothing(world: World) -> None:
    """`kill -9` of the daemon at ten moments of creating, starting, connecting and removing."""
    for round_ in range(10):
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException):
                world.network(f"n{round_}")
                world.run(f"c{round_}", PortBindings={"80/tcp": [{"HostPort": ""}]})
                world.daemon.call("POST", f"/networks/n{round_}/connect", {"Container": f"c{round_}"})
                world.daemon.call("POST", f"/networks/n{round_}/disconnect", {"Container": f"c{round_}"})
                world.remove(f"c{round_}")
            os._exit(0)
        time.sleep(0.004 + round_ * 0.012)
        world.daemon.kill()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        world.daemon.start()
        assert kernel_state(world) == recorded_state(world), f"round {round_}"
    for container in world.daemon.call("GET", "/containers/json?all=1").ok():
        world.remove(container["Id"])
    gone = world.daemon.call("POST", "/networks/prune").ok()["NetworksDeleted"] or []
    assert {entry["Name"] for entry in world.daemon.call("GET", "/networks").ok()} == {"bridge", "host", "none"}, gone


def test_a_half_made_connect_or_disconnect_is_mended(world: World) -> None:
    """What a daemon leaves that is killed between the kernel's part and the record of it: a link too many, one too few."""
    world.network("front")
    world.serve("web", network="front")
    mover = world.run("mover")
    world.daemon.call("POST", "/networks/front/connect", {"Container": "mover", "EndpointConfig": {"GwPriority": 1}}).ok()
    routes = world.exec("mover", "ip", "route")
    number = world.exec("mover", "cat", "/sys/class/net/eth1/iflink").strip()
    world.daemon.kill()
    enter = ["nsenter", f"--net=/proc/{world.host.pid}/ns/net", "ip", "link"]
    gone = subprocess.run([*enter, "show"], capture_output=True, text=True, check=True).stdout
    name = re.search(rf"^{number}: (\w+)@", gone, re.MULTILINE)
    assert name is not None
    subprocess.run([*enter, "del", name[1]], check=True)
    subprocess.run(
        [*enter, "add", "stray0", "master", "corten0", "type", "veth", "peer", "name", "eth7", "netns", str(mover.pid)], check=True
    )
    world.daemon.start()
    assert kernel_state(world) == recorded_state(world)
    assert world.exec("mover", "ip", "route") == routes
    assert "eth7" not in world.exec("mover", "ip", "link")
    assert mover.http(world.address("web", "front"), 80).startswith("web ")
    world.remove("web", "mover")
    world.remove_networks("front")


def test_a_running_container_changes_networks(world: World) -> None:
    """Links, addresses, routes, names and the files in /etc follow at once."""
    world.network("front", IPAM={"Config": [{"Subnet": "10.77.0.0/24"}]})
    world.serve("web", network="front")
    mover = world.run("mover")
    assert world.exec("mover", "cat", "/etc/resolv.conf").count("127.0.0.11") == 0
    settings = {"IPAMConfig": {"IPv4Address": "10.77.0.99"}, "Aliases": ["alias"], "GwPriority": 1}
    world.daemon.call("POST", "/networks/front/connect", {"Container": "mover", "EndpointConfig": settings}).ok()
    assert mover.http("10.77.0.2", 80).startswith("web ")
    assert mover.run(lambda: lookup("web")) == ["10.77.0.2"]
    assert world.caller("web").run(lambda: lookup("alias")) == ["10.77.0.99"]
    assert "nameserver 127.0.0.11" in world.exec("mover", "cat", "/etc/resolv.conf")
    assert "10.77.0.99\tmover" in world.exec("mover", "cat", "/etc/hosts")
    assert "default via 10.77.0.1" in world.exec("mover", "ip", "route")
    world.daemon.call("POST", "/networks/front/disconnect", {"Container": "mover"}).ok()
    assert "default via 172.17.0.1" in world.exec("mover", "ip", "route")
    assert "10.77.0.99" not in world.exec("mover", "cat", "/etc/hosts")
    assert world.caller("web").run(lambda: lookup("alias")) == ["SERVFAIL"]
    assert mover.http("10.77.0.2", 80, timeout=1) == ""
    world.remove("web", "mover")
    world.remove_networks("front")


def test_names_follow_rename_stop_and_start(world: World) -> None:
    world.network("front")
    world.run("first", network="front")
    client = world.run("client", network="front")
    world.daemon.call("POST", "/containers/first/rename?name=second").ok()
    assert client.run(lambda: lookup("second")) == [world.address("second", "front")]
    assert client.run(lambda: lookup("first")) == [world.address("second", "front")], "it still is its host name"
    world.daemon.call("POST", "/containers/second/kill").ok()
    world.daemon.call("POST", "/containers/second/wait").ok()
    world.run("taker", network="front")
    world.daemon.call("POST", "/containers/second/start").ok()
    assert client.run(lambda: lookup("second")) == [world.address("second", "front")]
    assert world.address("second", "front") != world.address("taker", "front")
    world.remove("second", "client", "taker")
    world.remove_networks("front")


def test_a_macvlan_container_is_a_neighbour_of_the_uplink(world: World, outside: Caller) -> None:
    body = {"Driver": "macvlan", "Options": {"parent": "uplink"}}
    world.network("lan", IPAM={"Config": [{"Subnet": "198.51.100.0/24", "Gateway": OUTSIDE, "IPRange": "198.51.100.64/26"}]}, **body)
    world.serve("web", network="lan")
    assert outside.http(world.address("web", "lan"), 80) == f"web {OUTSIDE}"
    assert f"default via {OUTSIDE}" in world.exec("web", "ip", "route")
    world.remove("web")
    world.remove_networks("lan")


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [["--default-address-pool", "base=10.128.0.0/12,size=24"]], indirect=True)
def test_two_hundred_networks(world: World) -> None:
    names = [f"net{number}" for number in range(200)]
    for name in names:
        world.network(name)
    subnets = {n["IPAM"]["Config"][0]["Subnet"] for n in world.daemon.call("GET", "/networks").ok() if n["Name"] in names}
    assert len(subnets) == 200
    first, last = world.serve("first", network=names[0]), world.run("last", network=names[-1])
    assert last.http(world.address("first", names[0]), 80, timeout=1) == ""
    assert first.http("127.0.0.1", 80).startswith("first ")
    world.remove("first", "last")
    world.remove_networks(*names)
