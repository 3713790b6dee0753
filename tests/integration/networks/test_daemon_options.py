"""What the daemon's options make of the default bridge."""

import pytest

from tests.integration.network_world import World

pytestmark = [pytest.mark.privileged]
V4 = ["--bip", "10.99.0.1/24", "--fixed-cidr", "10.99.0.64/26", "--mtu", "1400", "--ip", "127.0.0.1", "--icc=false"]
V6 = ["--ipv6", "--fixed-cidr-v6", "fd00:99::/64"]


@pytest.mark.parametrize("daemon", [[*V4, *V6]], indirect=True)
def test_addresses_mtu_binding_and_isolation(world: World) -> None:
    bridge = world.daemon.call("GET", "/networks/bridge").ok()
    assert bridge["EnableIPv6"] is True
    assert bridge["IPAM"]["Config"] == [
        {"Subnet": "10.99.0.0/24", "IPRange": "10.99.0.64/26", "Gateway": "10.99.0.1"},
        {"Subnet": "fd00:99::/64", "IPRange": "fd00:99::/64"},
    ]
    assert bridge["Options"]["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"
    world.serve("web", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
    assert (world.address("web"), world.address("web", field="GlobalIPv6Address")) == ("10.99.0.64", "fd00:99::2")
    assert world.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8080"}]
    assert world.host.http("127.0.0.1", 8080).startswith("web ")
    assert "mtu 1400" in world.exec("web", "ip", "link", "show", "eth0")
    assert "fd00:99::2\tweb\n" in world.exec("web", "cat", "/etc/hosts")
    assert world.host.http("fd00:99::2", 80).startswith("web ")
    other = world.run("other")
    assert other.http("10.99.0.64", 80, timeout=1) == ""
    assert other.http("fd00:99::2", 80, timeout=1) == ""
    world.remove("web", "other")


@pytest.mark.parametrize("daemon", [["--bip", "10.99.0.1/24", "--default-gateway", "10.99.0.254", "--ipv6"]], indirect=True)
def test_another_gateway_and_addresses_of_the_host_s_own(world: World) -> None:
    bridge = world.daemon.call("GET", "/networks/bridge").ok()
    assert bridge["IPAM"]["Config"][0]["AuxiliaryAddresses"] == {"DefaultGatewayIPv4": "10.99.0.254"}
    six = bridge["IPAM"]["Config"][1]["Gateway"]
    one = world.serve("one")
    assert "default via 10.99.0.254" in world.exec("one", "ip", "route")
    assert f"default via {six}" in world.exec("one", "ip", "-6", "route")
    other = world.run("other")
    assert other.http(world.address("one", field="GlobalIPv6Address"), 80).startswith("one ")
    assert one.http(six, 80, timeout=1) == "", "the host itself serves nothing there"
    world.daemon.kill()
    world.daemon.start()
    assert world.daemon.call("GET", "/networks/bridge").ok()["IPAM"] == bridge["IPAM"]
    assert other.http(world.address("one", field="GlobalIPv6Address"), 80).startswith("one ")
    world.remove("one", "other")


@pytest.mark.parametrize("daemon", [["--publish-default", "127.0.0.1"]], indirect=True)
def test_the_default_of_published_ports_holds_on_every_network(world: World) -> None:
    world.network("front")
    world.serve(
        "web", network="front", PortBindings={"80/tcp": [{"HostPort": "8080"}], "81/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8081"}]}
    )
    shown = world.inspect("web")["NetworkSettings"]["Ports"]
    assert shown["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8080"}]
    assert shown["81/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "8081"}], "an address that is named holds"
    world.remove("web")
    world.remove_networks("front")
