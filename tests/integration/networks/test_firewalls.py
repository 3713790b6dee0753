"""The host's own firewall has its say about published ports: rule sets as ufw and firewalld write them, around a daemon of ours."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.network_world import INSIDE, INSIDE6, OUTSIDE, OUTSIDE6, Caller, World, answering

pytestmark = [pytest.mark.privileged]

UFW = """
table ip filter {
  chain ufw-user-input { }
  chain INPUT {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    ct state invalid drop
    jump ufw-user-input
  }
}
table ip6 filter {
  chain ufw6-user-input { }
  chain INPUT {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    jump ufw6-user-input
  }
}
"""
UFW_ALLOW = """
add rule ip filter ufw-user-input {proto} dport {port} accept
add rule ip6 filter ufw6-user-input {proto} dport {port} accept
"""
FIREWALLD = """
table inet firewalld {
  chain mangle_PREROUTING {
    type filter hook prerouting priority -140; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    meta nfproto ipv6 fib saddr . mark . iif oif missing drop
  }
  chain filter_IN_public_allow { }
  chain filter_INPUT {
    type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    icmpv6 type { nd-neighbor-advert, nd-neighbor-solicit } accept
    jump filter_IN_public_allow
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
}
"""
FIREWALLD_ALLOW = "add rule inet firewalld filter_IN_public_allow {proto} dport {port} ct state new accept\n"
FORWARD_CLOSED = """
table inet host {
  chain forward { type filter hook forward priority 0; policy drop; ct state established accept; }
}
"""


def load(world: World, rules: str) -> None:
    text = rules.replace("; }", ";\n}")  # nft wants a line's end there
    subprocess.run(["nsenter", f"--net=/proc/{world.host.pid}/ns/net", "nft", "-f", "-"], input=text, text=True, check=True)


def drop(world: World, *tables: str) -> None:
    for table in tables:
        load(world, f"delete table {table}\n")


def reached(outside: Caller) -> tuple[str, str]:
    return outside.http(INSIDE, 8080, timeout=1), outside.http(INSIDE6, 8080, timeout=1)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("rules", "allow", "tables"),
    [(UFW, UFW_ALLOW, ("ip filter", "ip6 filter")), (FIREWALLD, FIREWALLD_ALLOW, ("inet firewalld",))],
    ids=["ufw", "firewalld"],
)
def test_published_ports_obey_the_input_filter(
    world: World, outside: Caller, rules: str, allow: str, tables: tuple[str, ...], *, strict: bool
) -> None:
    """Closed by a filter that does not know the port, open when it is allowed there; localhost in both."""
    if strict:
        world.host.run(lambda: Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("1"))
    world.network("six", EnableIPv6=True)
    ports = {"80/tcp": [{"HostPort": "8080"}], "7000/udp": [{"HostPort": "7000"}]}
    server = world.serve("web", network="six", PortBindings=ports)
    sibling = world.run("sibling", network="six")
    own = ("web " + OUTSIDE, "web " + OUTSIDE6)
    assert reached(outside) == own, "without a filter everybody may"
    load(world, rules)
    assert reached(outside) == ("", "")
    assert world.host.http("127.0.0.1", 8080).startswith("web ")
    assert sibling.http(INSIDE, 8080).startswith("web "), "other containers are not outside"
    load(world, allow.format(proto="tcp", port=8080))
    assert reached(outside) == own, "the caller's address is still seen"
    with answering(server, 7000, "hello"):
        assert outside.udp(INSIDE, 7000, timeout=0.5) == ""
        load(world, allow.format(proto="udp", port=7000))
        assert outside.udp(INSIDE, 7000) == "hello"
    drop(world, *tables)
    world.remove("web", "sibling")
    world.remove_networks("six")


def test_published_ports_obey_the_forward_filter(world: World, outside: Caller) -> None:
    """A chain of the host's own that drops what it does not know."""
    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    assert outside.http(INSIDE, 8080).startswith("web ")
    load(world, FORWARD_CLOSED)
    assert outside.http(INSIDE, 8080, timeout=1) == ""
    drop(world, "inet host")
    assert outside.http(INSIDE, 8080).startswith("web ")
    world.remove("web")


def test_a_reloaded_firewall_does_not_open_what_it_closed(world: World, outside: Caller) -> None:
    """`flush ruleset` and the host's own rules again, as a service's reload does it: ours come back beside them."""
    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    load(world, "flush ruleset\n" + UFW)
    assert outside.http(INSIDE, 8080, timeout=1) == ""
    load(world, UFW_ALLOW.format(proto="tcp", port=8080))
    assert any(outside.http(INSIDE, 8080, timeout=1) == f"web {OUTSIDE}" for _ in range(20))
    drop(world, "ip filter", "ip6 filter")
    world.remove("web")
