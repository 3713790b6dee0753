"""macvlan and ipvlan networks: whose link they stand on."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.networks.network import NetworkRequest
from corten.errors import EngineError
from tests.unit.engine.test_networks import Ground, container, ground


@pytest.fixture
async def g(tmp_path: Path) -> AsyncIterator[Ground]:
    with ground(tmp_path) as made:
        made.fabric.host = replace(made.fabric.host, other_links=frozenset(("lo", "eth0", "eth1", "wlan.old")))
        await made.networks.start([])
        yield made
        await made.networks.close()


def request(name: str, driver: str = "macvlan", **options: str) -> NetworkRequest:
    return NetworkRequest(name=name, driver=driver, options=options)


@pytest.mark.parametrize(("driver", "prefix"), [("macvlan", "dm"), ("ipvlan", "di")])
async def test_without_a_parent_it_leads_nowhere(g: Ground, driver: str, prefix: str) -> None:
    network = await g.networks.create(request("alone", driver))
    assert g.fabric.parents == {f"{prefix}-{network.id[:12]}"}
    assert (network.options, network.internal) == ({}, False), "as the user said it"
    place = await g.networks.attach(container("one", "alone"))
    assert place.endpoints["alone"].gateway == ""
    plug = g.fabric.sandboxes[0].plugs["alone"]
    assert (plug.parent, plug.gateways, plug.default_on_link) == (f"{prefix}-{network.id[:12]}", (), False)
    await g.networks.attachments.close()
    await g.networks.remove("alone")
    assert g.fabric.parents == set()


async def test_a_vlan_is_made_and_removed_with_the_last_network_on_it(g: Ground) -> None:
    await g.networks.create(request("one", parent="eth0.50"))
    await g.networks.create(request("two", parent="eth0.50"))
    assert g.fabric.parents == {"eth0.50"}
    await g.networks.remove("one")
    assert g.fabric.parents == {"eth0.50"}
    await g.networks.remove("two")
    assert g.fabric.parents == set()


async def test_a_vlan_is_there_again_after_a_restart(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        await made.networks.start([])
        await made.networks.create(request("one", parent="eth0.50"))
    with ground(tmp_path) as made:
        await made.networks.start([])
        assert made.fabric.parents == {"eth0.50"}


async def test_a_link_of_the_host_is_used_as_it_is(g: Ground) -> None:
    await g.networks.create(request("one", parent="eth0"))
    await g.networks.create(request("two", parent="wlan.old"))
    assert g.fabric.parents == set()


@pytest.mark.parametrize(
    ("driver", "parent", "text"),
    [
        ("macvlan", "lo", "loopback interface is not a valid macvlan parent link"),
        ("ipvlan", "lo", "loopback interface is not a valid ipvlan parent link"),
        ("macvlan", "nosuch", "invalid subinterface vlan name nosuch, example formatting is eth0.10"),
        ("macvlan", "nosuch.5", "-o parent interface was not found on the host: nosuch"),
        ("macvlan", "eth0.5000", "vlan id must be between 1-4094, received: 5000"),
        ("macvlan", "eth0.x", r"unable to parse a valid vlan id from: x \(ex. eth0.10 for vlan 10\)"),
    ],
)
async def test_parents_that_cannot_be(g: Ground, driver: str, parent: str, text: str) -> None:
    with pytest.raises(EngineError, match=text):
        await g.networks.create(request("one", driver, parent=parent))
    assert g.networks.catalog.find("one") is None


async def test_who_may_share_a_parent(g: Ground) -> None:
    first = await g.networks.create(request("one", parent="eth0"))
    with pytest.raises(EngineError, match=f"cannot use mode passthru, macvlan network {first.id} is already using parent interface eth0"):
        await g.networks.create(request("two", parent="eth0", macvlan_mode="passthru"))
    alone = await g.networks.create(request("three", parent="eth1", macvlan_mode="passthru"))
    with pytest.raises(EngineError, match=f"macvlan network {alone.id} is already using parent interface eth1 in mode passthru"):
        await g.networks.create(request("four", parent="eth1"))
    sub = await g.networks.create(request("five", "ipvlan", parent="eth0.7"))
    with pytest.raises(EngineError, match=f"network di-{sub.id[:12]} is already using parent interface eth0.7"):
        await g.networks.create(request("six", "ipvlan", parent="eth0.7"))
