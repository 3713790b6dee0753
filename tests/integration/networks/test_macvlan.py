"""macvlan networks in every mode, on links of the host and on one that leads nowhere."""

import pytest

from corten.kernel.netlink import links
from corten.kernel.netlink.socket import Netlink
from tests.integration.network_world import OUTSIDE, Caller, World, lookup

pytestmark = [pytest.mark.privileged]


def present() -> set[str]:
    with Netlink() as netlink:
        return {link.name for link in links.list_links(netlink)}


def on_the_uplink(world: World, mode: str) -> None:
    config = {"Subnet": "198.51.100.0/24", "Gateway": OUTSIDE, "IPRange": "198.51.100.64/26"}
    world.network("lan", Driver="macvlan", IPAM={"Config": [config]}, Options={"parent": "uplink", "macvlan_mode": mode})


@pytest.mark.parametrize(("mode", "siblings"), [("bridge", True), ("private", False), ("vepa", False)])
def test_modes(world: World, outside: Caller, mode: str, *, siblings: bool) -> None:
    """With vepa, neighbours meet only by a switch that sends frames back."""
    on_the_uplink(world, mode)
    world.serve("one", network="lan")
    two = world.run("two", network="lan")
    at = world.address("one", "lan")
    assert outside.http(at, 80) == f"one {OUTSIDE}"
    assert bool(two.http(at, 80, timeout=1)) == siblings
    assert world.host.http(at, 80, timeout=1) == "", "the kernel keeps the host and its macvlans apart"
    world.remove("one", "two")
    world.remove_networks("lan")


def test_passthru_gives_the_parent_to_one(world: World, outside: Caller) -> None:
    on_the_uplink(world, "passthru")
    world.serve("one", network="lan")
    assert outside.http(world.address("one", "lan"), 80) == f"one {OUTSIDE}"
    world.create("two", network="lan")
    answer = world.daemon.call("POST", "/containers/two/start")
    assert answer.status == 500
    assert "failed to set up container networking" in answer.json()["message"]
    world.remove("one", "two")
    world.remove_networks("lan")


def test_without_a_parent_siblings_have_each_other(world: World) -> None:
    identifier = world.network("alone", Driver="macvlan")
    link = f"dm-{identifier[:12]}"
    assert link in world.host.run(present)
    world.serve("one", network="alone")
    two = world.run("two", network="alone")
    assert two.run(lambda: lookup("one")) == [world.address("one", "alone")]
    assert two.http(world.address("one", "alone"), 80).startswith("one ")
    assert "default" not in world.exec("two", "ip", "route")
    world.daemon.kill()
    world.daemon.start()
    assert two.http(world.address("one", "alone"), 80).startswith("one ")
    world.remove("one", "two")
    world.remove_networks("alone")
    assert not [name for name in world.host.run(present) if name.startswith("dm")]
