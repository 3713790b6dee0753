"""What an endpoint may be given by driver options, and host names in a container's files."""

import pytest

from tests.integration.network_world import World

pytestmark = [pytest.mark.privileged]
IFNAME, SYSCTLS = "com.docker.network.endpoint.ifname", "com.docker.network.endpoint.sysctls"


def options(**values: str) -> dict[str, dict[str, str]]:
    return {"DriverOpts": {{"ifname": IFNAME, "sysctls": SYSCTLS}[key]: value for key, value in values.items()}}


def interfaces(world: World, name: str) -> list[str]:
    return sorted(line.split(":")[0].strip() for line in world.exec(name, "cat", "/proc/net/dev").splitlines()[2:])


def test_a_link_has_the_name_and_the_settings_that_were_asked(world: World) -> None:
    world.network("six", EnableIPv6=True)
    sysctls = "net.ipv4.conf.ifname.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=0"
    world.run("one", network="six", Endpoint=options(ifname="foo0", sysctls=sysctls))
    assert interfaces(world, "one") == ["foo0", "lo"]
    assert world.exec("one", "cat", "/proc/sys/net/ipv4/conf/foo0/log_martians") == "1\n"
    assert world.exec("one", "cat", "/proc/sys/net/ipv6/conf/foo0/accept_ra") == "0\n"
    assert world.address("one", "six", "GlobalIPv6Address") in world.exec("one", "ip", "addr", "show", "foo0")
    world.remove("one")
    world.remove_networks("six")


def test_links_without_a_name_take_what_is_free(world: World) -> None:
    world.network("a")
    world.network("b")
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "60"],
        "HostConfig": {"NetworkMode": "a"},
        "NetworkingConfig": {"EndpointsConfig": {"a": options(ifname="eth1"), "b": {}}},
    }
    world.daemon.call("POST", "/containers/create?name=one", body).ok()
    world.daemon.call("POST", "/containers/one/start").ok()
    assert interfaces(world, "one") == ["eth0", "eth1", "lo"]
    connected = {"Container": "one", "EndpointConfig": options(ifname="bar1")}
    world.daemon.call("POST", "/networks/bridge/connect", connected).ok()
    assert interfaces(world, "one") == ["bar1", "eth0", "eth1", "lo"]
    world.daemon.call("POST", "/containers/one/restart?t=0").ok()
    assert interfaces(world, "one") == ["bar1", "eth0", "eth1", "lo"]
    world.remove("one")
    world.remove_networks("a", "b")


@pytest.mark.parametrize("ifname", ["a/b", "../x", "lo", "a b", ".", "much-too-long-for-a-link"])
def test_names_that_no_link_can_have(world: World, ifname: str) -> None:
    world.network("a")
    world.create("one", network="a", Endpoint=options(ifname=ifname))
    answer = world.daemon.call("POST", "/containers/one/start")
    assert (answer.status, answer.json()["message"].partition(":")[0]) == (500, "failed to set up container networking")
    world.remove("one")
    world.remove_networks("a")


def test_a_setting_that_is_none_is_refused_and_leaves_nothing(world: World) -> None:
    world.network("a")
    body = {"Image": "busybox", "HostConfig": {"NetworkMode": "a"}}
    text = "net.ipv4.conf.IFNAME.x/../../../../kernel/hostname=evil"
    endpoints = {"EndpointsConfig": {"a": options(sysctls=text)}}
    answer = world.daemon.call("POST", "/containers/create", {**body, "NetworkingConfig": endpoints})
    assert answer.status == 400
    assert "invalid config for network a: invalid endpoint settings:" in answer.json()["message"]
    world.create("one", network="a", Endpoint=options(sysctls="net.ipv4.conf.IFNAME.nosuch=1"))
    assert world.daemon.call("POST", "/containers/one/start").status == 500
    world.remove("one")
    world.run("two", network="a")
    assert world.address("two", "a").endswith(".2"), "the address of the failed start is free"
    world.remove("two")
    world.remove_networks("a")


@pytest.mark.parametrize(
    ("hostname", "domainname", "names", "uts"),
    [
        ("a", "b", "a.b a", ("a", "b")),
        ("a.b", "", "a.b a", ("a.b", "(none)")),
        ("a.b", "c", "a.b.c a", ("a.b", "c")),
        ("a", "", "a", ("a", "(none)")),
    ],
)
def test_host_and_domain_names(world: World, hostname: str, domainname: str, names: str, uts: tuple[str, str]) -> None:
    body = {"Image": "busybox", "Cmd": ["sleep", "60"], "Hostname": hostname, "Domainname": domainname}
    world.daemon.call("POST", "/containers/create?name=one", body).ok()
    world.daemon.call("POST", "/containers/one/start").ok()
    assert world.exec("one", "cat", "/etc/hosts").splitlines()[-1] == f"{world.address('one')}\t{names}"
    assert world.exec("one", "cat", "/proc/sys/kernel/hostname") == f"{uts[0]}\n"
    assert world.exec("one", "cat", "/proc/sys/kernel/domainname") == f"{uts[1]}\n"
    assert world.exec("one", "cat", "/etc/hostname") == f"{uts[0]}\n"
    world.remove("one")


def test_link_local_addresses(world: World) -> None:
    world.network("a")
    config = {"IPAMConfig": {"LinkLocalIPs": ["169.254.8.8", "fe80::77"]}}
    world.run("one", network="a", Endpoint=config)
    shown = world.exec("one", "ip", "-o", "addr")
    assert "inet 169.254.8.8/16" in shown
    assert "inet6 fe80::77/64" in shown
    other = {"Container": "one", "EndpointConfig": {"IPAMConfig": {"LinkLocalIPs": ["169.254.9.9"]}}}
    world.daemon.call("POST", "/networks/bridge/connect", other).ok()
    assert "inet 169.254.9.9/16" in world.exec("one", "ip", "-o", "addr")
    for text in ("zz", "10.1.1.1", "fe80::1%eth0"):
        body = {"Image": "busybox", "HostConfig": {"NetworkMode": "a"}}
        endpoints = {"EndpointsConfig": {"a": {"IPAMConfig": {"LinkLocalIPs": [text]}}}}
        assert world.daemon.call("POST", "/containers/create", {**body, "NetworkingConfig": endpoints}).status == 400, text
    world.remove("one")
    world.remove_networks("a")


def test_which_network_leads_out(world: World) -> None:
    """The highest priority; of equals one with both families, then the first by name."""
    world.network("p")
    world.network("q")
    world.network("z", EnableIPv6=True)
    world.run("one", network="p")

    def gateway() -> str:
        via = world.exec("one", "ip", "route", "show", "default").split()[2]
        found = [
            n["Name"] for n in world.daemon.call("GET", "/networks").ok() if via in [c.get("Gateway") for c in n["IPAM"]["Config"] or ()]
        ]
        return "".join(found)

    def connect(name: str, **config: int) -> None:
        world.daemon.call("POST", f"/networks/{name}/connect", {"Container": "one", "EndpointConfig": config}).ok()

    def disconnect(name: str) -> None:
        world.daemon.call("POST", f"/networks/{name}/disconnect", {"Container": "one"}).ok()

    connect("q")
    assert gateway() == "p"
    connect("z")
    assert gateway() == "z"
    disconnect("q")
    connect("q", GwPriority=1)
    assert gateway() == "q"
    disconnect("q")
    disconnect("z")
    connect("z", GwPriority=-1)
    assert gateway() == "p"
    world.remove("one")
    world.remove_networks("p", "q", "z")
