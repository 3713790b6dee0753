from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.network import hostfiles as files
from corten.network.hostfiles import Resolver


def test_resolv_conf_is_read_as_the_resolver_reads_it() -> None:
    text = "# made by hand\nnameserver 10.0.0.1 # one\nnameserver fe80::1%eth0\ndomain old\nsearch a.b c.d\n"
    text += "options ndots:2\noptions edns0\n;x\nsortlist 1.2.3.4\n"
    assert files.parse_resolv_conf(text) == Resolver(("10.0.0.1", "fe80::1%eth0"), ("a.b", "c.d"), ("ndots:2", "edns0"))


def test_servers_behind_systemds_stub_are_found(tmp_path: Path) -> None:
    stub, behind = tmp_path / "resolv.conf", tmp_path / "behind.conf"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    behind.write_text("nameserver 192.0.2.53\nsearch lan\n")
    assert files.read_host_resolver(str(stub), str(behind)) == Resolver(("192.0.2.53",), ("lan",), ())
    behind.unlink()
    assert files.read_host_resolver(str(stub), str(behind)).servers == ("127.0.0.53",)


def test_a_host_without_resolv_conf_has_no_servers(tmp_path: Path) -> None:
    assert files.read_host_resolver(str(tmp_path / "a"), str(tmp_path / "b")) == Resolver()


def test_loopback_servers_do_not_reach_a_namespace() -> None:
    host = Resolver(("127.0.0.1", "192.0.2.1", "::1"))
    assert files.without_local_servers(host).servers == ("192.0.2.1",)
    assert files.without_local_servers(Resolver(("127.0.0.1",))).servers == ("8.8.8.8", "8.8.4.4")


def test_wishes_take_the_place_of_the_hosts() -> None:
    host = Resolver(("192.0.2.1",), ("lan",), ("edns0",))
    assert files.override(host, servers=(), search=(), options=()) == host
    assert files.override(host, servers=["1.1.1.1"], search=["x.y"], options=["ndots:3"]) == Resolver(("1.1.1.1",), ("x.y",), ("ndots:3",))
    assert files.override(host, servers=(), search=["."], options=()).search == ()


def test_bare_names_go_to_the_embedded_server_as_they_are() -> None:
    assert files.behind_embedded_server(Resolver(("192.0.2.1",), ("lan",))) == Resolver(("127.0.0.11",), ("lan",), ("ndots:0",))
    assert files.behind_embedded_server(Resolver((), (), ("ndots:3",))).options == ("ndots:3",)


def test_resolv_conf_is_written() -> None:
    text = files.format_resolv_conf(Resolver(("127.0.0.11",), ("a", "b"), ("ndots:0", "edns0")))
    assert text.splitlines()[1:] == ["nameserver 127.0.0.11", "search a b", "options ndots:0 edns0"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a:1.2.3.4", ("a", "1.2.3.4")),
        ("a=1.2.3.4", ("a", "1.2.3.4")),
        ("a:fd00::1", ("a", "fd00::1")),
        ("a=[fd00::1]", ("a", "fd00::1")),
        ("a:host-gateway", ("a", "host-gateway")),
    ],
)
def test_extra_hosts(text: str, found: tuple[str, str]) -> None:
    assert files.parse_extra_host(text) == found


@pytest.mark.parametrize("text", ["a", ":1.2.3.4", "a:", "a:b", "a:1.2.3"])
def test_bad_extra_hosts(text: str) -> None:
    with pytest.raises(Invalid):
        files.parse_extra_host(text)


def test_host_gateway_may_be_several_addresses() -> None:
    lines = files.resolve_extra_hosts(["h:host-gateway", "a:1.2.3.4"], ["172.17.0.1", "fd00::1"])
    assert lines == [("172.17.0.1", "h"), ("fd00::1", "h"), ("1.2.3.4", "a")]
    with pytest.raises(Invalid):
        files.resolve_extra_hosts(["h:host-gateway"], [])


def test_the_hosts_file_is_dockers() -> None:
    lines = [("1.2.3.4", "a.b"), *files.own_lines(["172.17.0.2", ""], "foo", "ex.org")]
    assert files.format_hosts(lines) == (
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n1.2.3.4\ta.b\n172.17.0.2\tfoo.ex.org foo\n"
    )
    assert files.own_lines(["1.1.1.1"], "foo.example.org", "") == [("1.1.1.1", "foo.example.org foo")]


def test_the_hosts_own_file_gets_lines_behind_it() -> None:
    assert files.append_hosts("127.0.0.1 localhost", [("1.2.3.4", "a")]) == "127.0.0.1 localhost\n1.2.3.4\ta\n"
