"""Networks as use cases, with a database and no kernel."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.options import PruneFilter, PruneOptions
from corten.engine.events import Events
from corten.engine.networks.attachments import Attachment
from corten.engine.networks.catalog import MIGRATIONS, NetworkCatalog
from corten.engine.networks.network import IpamPool, NetworkRequest, NetworkSettings
from corten.engine.networks.networks import Networks
from corten.engine.paths import Paths
from corten.engine.values.container import Container, ContainerConfig, Endpoint, EndpointConfig, HostConfig, PortBinding, State
from corten.errors import Denied, EngineError, Invalid, NotFound
from corten.ids import ImageId, NetworkId, new_container_id, short_id
from corten.store.db import Database
from tests.unit.engine.fake_fabric import FakeFabric


class Names:
    """Remembers who is known."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}

    async def entered(self, attachment: Attachment) -> None:
        await self.changed(attachment)

    async def changed(self, attachment: Attachment) -> None:
        self.known[attachment.container.id] = sorted(attachment.plans)

    def left(self, attachment: Attachment) -> None:
        self.known.pop(attachment.container.id, None)


class Ground:
    def __init__(self, path: Path, settings: NetworkSettings) -> None:
        self.database = Database(str(path / "db"), MIGRATIONS)
        self.fabric = FakeFabric()
        self.names = Names()
        self.events = Events()
        self.networks = Networks(NetworkCatalog(self.database), self.fabric, settings, self.names, self.events, Paths(str(path), str(path)))

    def told(self) -> list[tuple[str, str]]:
        return [(event.action, event.attributes.get("name", "")) for event in self.events.past(0, None, {"type": ["network"]})]


@contextmanager
def ground(path: Path, settings: NetworkSettings | None = None) -> Iterator[Ground]:
    made = Ground(path, settings or NetworkSettings())
    with closing(made.database):
        yield made


@pytest.fixture
async def g(tmp_path: Path) -> AsyncIterator[Ground]:
    with ground(tmp_path) as made:
        await made.networks.start([])
        yield made
        await made.networks.close()


def container(name: str, *networks: str, config: dict[str, Any] | None = None, **host: Any) -> Container:
    identifier = new_container_id()
    names = networks or ("bridge",)
    endpoints = {n: Endpoint(config=EndpointConfig(network=n), network_id=NetworkId("")) for n in names}
    return Container(
        id=identifier,
        name=name,
        created=1,
        image_id=ImageId("sha256:0"),
        image_ref="busybox",
        path="true",
        args=(),
        config=ContainerConfig(hostname=short_id(identifier), **(config or {})),
        host=HostConfig(network_mode=names[0], **host),
        endpoints=endpoints,
    )


def asked(value: Container, network: str, **config: Any) -> Container:
    endpoint = Endpoint(config=EndpointConfig(network=network, **config), network_id=NetworkId(""))
    return replace(value, endpoints={**value.endpoints, network: endpoint})


async def test_the_predefined_networks_are_there(g: Ground) -> None:
    found = {network.name: network for network in g.networks.catalog}
    assert sorted(found) == ["bridge", "host", "none"]
    bridge = found["bridge"]
    assert (bridge.bridge, bridge.mtu, bridge.pools[0].subnet) == ("corten0", 1400, "172.18.0.0/16"), "not what the host routes"
    assert bridge.options["com.docker.network.bridge.default_bridge"] == "true"
    assert list(g.fabric.bridges) == ["corten0"]


async def test_another_engine_has_corten0(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        made.fabric.host = replace(made.fabric.host, other_links=frozenset({"lo", "corten0"}))
        await made.networks.start([])
        assert made.networks.catalog.get("bridge").bridge == "corten1"


async def test_the_default_subnet_stays_until_the_host_routes_it(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        await made.networks.start([])
        first = made.networks.catalog.get("bridge")
    with ground(tmp_path) as made:
        made.fabric.host = replace(made.fabric.host, routes=())
        await made.networks.start([])
        assert made.networks.catalog.get("bridge").pools == first.pools
    with ground(tmp_path) as made:
        made.fabric.host = replace(made.fabric.host, routes=(first.pools[0].network,))
        await made.networks.start([])
        second = made.networks.catalog.get("bridge")
        assert second.id == first.id
        assert second.pools[0].subnet == "172.17.0.0/16"


async def test_bip_and_fixed_cidr(tmp_path: Path) -> None:
    with ground(tmp_path, NetworkSettings(bip="10.5.0.1/16", fixed_cidr="10.5.7.0/24")) as made:
        await made.networks.start([])
        attachment = await made.networks.attach(container("one"))
        assert attachment.endpoints["bridge"].gateway == "10.5.0.1"
        assert attachment.endpoints["bridge"].ip_address == "10.5.7.0"


async def test_ipv6_on_the_default_bridge(tmp_path: Path) -> None:
    with ground(tmp_path, NetworkSettings(ipv6=True)) as made:
        await made.networks.start([])
        bridge = made.networks.catalog.get("bridge")
        assert bridge.enable_ipv6
        assert bridge.pools[1].subnet.endswith("::/64")
        assert bridge.pools[1].subnet.startswith("fd")
    with ground(tmp_path, NetworkSettings(ipv6=True)) as made:
        await made.networks.start([])
        assert made.networks.catalog.get("bridge").pools == bridge.pools
    with ground(tmp_path) as made:
        await made.networks.start([])
        assert len(made.networks.catalog.get("bridge").pools) == 1


async def test_the_gateways_that_the_settings_name(tmp_path: Path) -> None:
    settings = NetworkSettings(
        bip="10.99.0.1/24",
        fixed_cidr="10.99.0.64/26",
        default_gateway="10.99.0.254",
        ipv6=True,
        fixed_cidr_v6="fd00:99::/64",
        default_gateway_v6="fd00:99::fe",
    )
    with ground(tmp_path, settings) as made:
        await made.networks.start([])
        four, six = made.networks.catalog.get("bridge").pools
        assert (four.ip_range, four.gateway, four.aux_addresses) == ("10.99.0.64/26", "10.99.0.1", {"DefaultGatewayIPv4": "10.99.0.254"})
        assert (six.ip_range, six.gateway, six.aux_addresses) == ("fd00:99::/64", "", {"DefaultGatewayIPv6": "fd00:99::fe"})
        endpoint = (await made.networks.attach(container("one"))).endpoints["bridge"]
        assert (endpoint.gateway, endpoint.ipv6_gateway) == ("10.99.0.254", "fd00:99::fe")
        assert (endpoint.ip_address, endpoint.global_ipv6_address) == ("10.99.0.64", "fd00:99::2")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (NetworkSettings(bip="nonsense"), "parse bip failed: invalid CIDR address: nonsense"),
        (NetworkSettings(bip="10.0.0.1"), "parse bip failed: invalid CIDR address: 10.0.0.1"),
        (NetworkSettings(bip="fd00::1/64"), "parse bip failed"),
        (NetworkSettings(fixed_cidr="zz"), "parse fixed-cidr failed"),
        (NetworkSettings(bip="10.0.0.1/24", fixed_cidr="10.1.0.0/24"), "is not in the bridge's subnet"),
        (NetworkSettings(default_gateway="10.0.0.1"), "DefaultGatewayIPv4:10.0.0.1. must belong to the master pool: 172.18.0.0/16"),
        (NetworkSettings(ipv6=True, bip6="fd00:2::1/64", default_gateway_v6="fd00:5::1"), "must belong to the master pool: fd00:2::/64"),
    ],
)
async def test_settings_that_cannot_be(tmp_path: Path, settings: NetworkSettings, text: str) -> None:
    with ground(tmp_path, settings) as made, pytest.raises(Invalid, match=text):
        await made.networks.start([])


async def test_a_daemon_without_default_bridge(tmp_path: Path) -> None:
    with ground(tmp_path, NetworkSettings(bridge="none")) as made:
        await made.networks.start([])
        assert made.networks.catalog.find("bridge") is None
        with pytest.raises(NotFound, match="network bridge not found"):
            await made.networks.attach(container("one"))


async def test_attach_gives_a_place(g: Ground) -> None:
    value = container("one", config={"exposed_ports": ("80/tcp", "81/tcp")}, port_bindings={"80/tcp": (PortBinding(host_port="18080"),)})
    attachment = await g.networks.attach(value)
    endpoint = attachment.endpoints["bridge"]
    assert (endpoint.ip_address, endpoint.gateway, endpoint.mac_address) == ("172.18.0.2", "172.18.0.1", "02:42:ac:12:00:02")
    assert endpoint.dns_names == ()
    assert attachment.ports["81/tcp"] == ()
    assert attachment.ports["80/tcp"][0] == PortBinding(host_ip="0.0.0.0", host_port="18080")
    assert attachment.hosts.endswith(f"172.18.0.2\t{value.config.hostname}\n")
    assert g.fabric.defaults == {4: "bridge"}
    assert [rule.host_port for rule in g.fabric.sandboxes[0].ports] == [18080]
    await g.networks.detach(value)
    await g.networks.detach(value)
    assert g.fabric.sandboxes == []
    assert g.told() == [("connect", "bridge"), ("disconnect", "bridge")]
    again = await g.networks.attach(container("two"))
    assert again.endpoints["bridge"].ip_address == "172.18.0.2", "addresses come back"


async def test_modes_without_links(g: Ground) -> None:
    host = await g.networks.attach(container("h", "host", extra_hosts=("a:1.2.3.4",)))
    assert host.netns is None
    assert "1.2.3.4\ta\n" in host.hosts
    assert list(host.endpoints) == ["host"]
    none = await g.networks.attach(container("n", "none"))
    assert none.netns is not None
    assert none.endpoints["none"].ip_address == ""
    off = await g.networks.attach(container("o", config={"network_disabled": True}))
    assert list(off.endpoints) == ["none"]


async def test_what_fails_leaves_nothing(g: Ground) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        bindings = {"79/tcp": (PortBinding(),), "80/tcp": (PortBinding(host_port=port),)}
        with pytest.raises(EngineError, match=f"failed to bind host port for 0.0.0.0:{port}:172.18.0.2:80/tcp: address already in use"):
            await g.networks.attach(container("one", port_bindings=bindings))
    g.fabric.refuse = OSError(28, "no space")
    with pytest.raises(EngineError, match=r"failed to set up container networking: .*no space"):
        await g.networks.attach(container("two"))
    g.fabric.refuse = None
    with pytest.raises(NotFound, match="failed to set up container networking: network nope not found"):
        await g.networks.attach(container("three", "nope"))
    assert g.fabric.sandboxes == []
    assert g.names.known == {}
    assert g.told() == []
    assert (await g.networks.attach(container("four"))).endpoints["bridge"].ip_address == "172.18.0.2"


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody on this machine has."""
    for _ in range(100):
        with ExitStack() as held:
            first = held.enter_context(socket.create_server(("", 0))).getsockname()[1]
            try:
                for port in range(first + 1, first + count):
                    held.enter_context(socket.create_server(("", port)))
            except (OSError, OverflowError):
                continue
            return int(first)
    raise AssertionError("no free ports")


async def test_a_port_of_another_container(g: Ground) -> None:
    port = free_ports(2)
    first = container("one", port_bindings={"80/tcp": (PortBinding(host_port=str(port)),)})
    await g.networks.attach(first)
    for host_ip, shown in (("", "0.0.0.0"), ("127.0.0.1", "0.0.0.0"), ("::", r"\[::\]")):
        binding = PortBinding(host_ip=host_ip, host_port=str(port))
        with pytest.raises(EngineError, match=f"Bind for {shown}:{port} failed: port is already allocated") as caught:
            await g.networks.attach(container("two", port_bindings={"80/tcp": (binding,)}))
        assert "driver failed programming external connectivity on endpoint two (" in caught.value.message
    udp = await g.networks.attach(container("three", port_bindings={"80/udp": (PortBinding(host_port=str(port)),)}))
    assert udp.ports["80/udp"][0].host_port == str(port)
    ranged = await g.networks.attach(container("four", port_bindings={"80/tcp": (PortBinding(host_port=f"{port}-{port + 1}"),)}))
    assert ranged.ports["80/tcp"][0].host_port == str(port + 1)


async def test_publish_all(g: Ground) -> None:
    attachment = await g.networks.attach(container("one", config={"exposed_ports": ("80/tcp", "53/udp")}, publish_all_ports=True))
    assert all(bindings and int(bindings[0].host_port) >= 1024 for bindings in attachment.ports.values())
    assert sorted(attachment.ports) == ["53/udp", "80/tcp"]


async def test_create_and_remove(g: Ground) -> None:
    network = await g.networks.create(NetworkRequest(name="front", labels={"a": "1"}, enable_ipv6=True))
    assert network.pools[0].gateway == "172.19.0.1"
    assert network.pools[1].subnet.startswith("fd")
    assert network.bridge == f"br-{network.id[:12]}"
    assert network.bridge in g.fabric.bridges
    value = container("one", "front")
    attachment = await g.networks.attach(value)
    assert attachment.endpoints["front"].dns_names == ("one", value.config.hostname)
    assert "nameserver 127.0.0.11\noptions ndots:0\n" in attachment.resolv_conf
    with pytest.raises(Denied, match=r"network front has active endpoints \(name:\"one\""):
        await g.networks.remove("front")
    await g.networks.detach(value)
    prune = NetworkPrune(g.networks, g.events)
    assert (await prune.run(PruneFilter(labels=["a=2"]), PruneOptions())).names == ()
    assert (await prune.run(PruneFilter(labels=["a"]), PruneOptions(dry=True))).names == ("front",)
    assert (await prune.run(PruneFilter(labels=["a"]), PruneOptions())).names == ("front",)
    assert list(g.fabric.bridges) == ["corten0"]
    assert g.told() == [
        ("create", "front"),
        ("connect", "front"),
        ("disconnect", "front"),
        ("prune", ""),
        ("destroy", "front"),
        ("prune", ""),
    ]


async def test_a_bridge_that_cannot_be_made_is_no_network(g: Ground) -> None:
    g.fabric.refuse = OSError(17, "exists")
    with pytest.raises(EngineError, match="failed to create network front"):
        await g.networks.create(NetworkRequest(name="front"))
    assert g.networks.catalog.find("front") is None


async def test_networks_survive_the_daemon(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        await made.networks.start([])
        network = await made.networks.create(NetworkRequest(name="front", pools=(IpamPool(subnet="10.9.0.0/24"),)))
        value = container("one", "front", port_bindings={"80/tcp": (PortBinding(host_port="18083"),)})
        attachment = await made.networks.attach(value)
        await made.networks.close()
    live = replace(value, endpoints=attachment.endpoints, ports=attachment.ports, state=State(status="running", pid=1))
    with ground(tmp_path) as made:
        await made.networks.start([live])
        assert network.bridge in made.fabric.bridges
        assert [member.name for member in made.networks.members(network)] == ["one"]
        assert [rule.host_port for rule in made.fabric.sandboxes[0].ports] == [18083]
        assert made.names.known == {value.id: ["front"]}
        with pytest.raises(EngineError, match="port is already allocated"):
            await made.networks.attach(container("two", port_bindings={"80/tcp": (PortBinding(host_port="18083"),)}))
        other = await made.networks.attach(container("three", "front"))
        assert other.endpoints["front"].ip_address == "10.9.0.3"
        await made.networks.detach(live)
        await made.networks.close()


async def test_a_container_that_ended_meanwhile_is_let_go(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        await made.networks.start([replace(container("gone"), state=State(status="running", pid=0))])
        assert made.fabric.sandboxes == []


async def test_static_addresses_and_aliases(g: Ground) -> None:
    await g.networks.create(NetworkRequest(name="front", pools=(IpamPool(subnet="10.9.0.0/24"),)))
    value = asked(container("one", "front"), "front", ipv4_address="10.9.0.77", aliases=("web",), mac_address="02-00-00-00-00-09")
    endpoint = (await g.networks.attach(value)).endpoints["front"]
    assert (endpoint.ip_address, endpoint.mac_address) == ("10.9.0.77", "02:00:00:00:00:09")
    assert endpoint.dns_names[:2] == ("one", "web")
    with pytest.raises(Denied, match="Address already in use"):
        await g.networks.attach(asked(container("two", "front"), "front", ipv4_address="10.9.0.77"))


async def test_check_at_create(g: Ground) -> None:
    g.networks.check(container("fine", "not-there-yet"))
    with pytest.raises(Invalid) as caught:
        g.networks.check(asked(container("one"), "bridge", ipv4_address="172.18.0.9"))
    assert caught.value.message == (
        "invalid config for network bridge: invalid endpoint settings:\n"
        "* user specified IP address is supported on user defined networks only\n"
        "* user specified IP address is supported only when connecting to networks with user configured subnets"
    )
    for host in ({"extra_hosts": ("a:b",)}, {"dns": ("x",)}, {"port_bindings": {"99999/tcp": ()}}):
        with pytest.raises(Invalid):
            g.networks.check(container("two", **host))


async def test_several_networks_and_the_way_out(g: Ground) -> None:
    await g.networks.create(NetworkRequest(name="back", internal=True))
    await g.networks.create(NetworkRequest(name="front"))
    value = asked(container("one", "back", "bridge"), "front", gw_priority=1)
    attachment = await g.networks.attach(value)
    assert [plug.name for plug in g.fabric.sandboxes[0].plugs.values()] == ["eth0", "eth1", "eth2"]
    assert list(g.fabric.sandboxes[0].plugs) == ["back", "bridge", "front"], "the mode's network is eth0"
    assert g.fabric.defaults == {4: "front"}
    assert attachment.endpoints["back"].gateway == ""


async def test_legacy_links_are_lines_in_hosts(g: Ground) -> None:
    await g.networks.attach(container("db"))
    attachment = await g.networks.attach(container("web", links=(f"{_id_of(g, 'db')}:database",)))
    assert f"172.18.0.2\tdatabase {short_id(_id_of(g, 'db'))} db\n" in attachment.hosts
    with pytest.raises(EngineError, match="Cannot link to a non running container: /nope AS /x/nope"):
        await g.networks.attach(container("x", links=("nope",)))


def _id_of(g: Ground, name: str) -> str:
    attachment = g.networks.attachments.find(name)
    assert attachment is not None
    return attachment.container.id


async def test_a_rename_is_heard(g: Ground) -> None:
    await g.networks.create(NetworkRequest(name="front"))
    value = container("one", "front")
    await g.networks.attach(value)
    await g.networks.renamed(replace(value, name="two"))
    assert g.networks.members(g.networks.catalog.get("front"))[0].endpoint.dns_names[0] == "two"
