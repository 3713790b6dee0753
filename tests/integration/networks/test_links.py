"""`--link`: variables, hosts lines, names and errors, as the reference engine has them."""

import time
from pathlib import Path

import pytest

from tests.integration.network_world import Caller, World, lookup

pytestmark = [pytest.mark.privileged]


def message(world: World, method: str, target: str, body: object = None) -> tuple[int, str]:
    answer = world.daemon.call(method, target, body)
    return answer.status, answer.json()["message"] if answer.status >= 400 else ""


def environment(world: World, name: str) -> list[str]:
    pid = world.caller(name).pid
    return Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")


def test_a_link_on_the_default_bridge(world: World) -> None:
    world.run("db")
    world.run("web", Links=["db:data-base", "db"])
    at, short = world.address("db"), world.inspect("db")["Id"][:12]
    found = environment(world, "web")
    assert {"DATA_BASE_NAME=/web/data-base", "DB_NAME=/web/db"} <= set(found)
    assert world.inspect("web")["HostConfig"]["Links"] == ["/db:/web/data-base", "/db:/web/db"]
    hosts = world.exec("web", "cat", "/etc/hosts")
    assert f"{at}\tdata-base db\n" in hosts, "alias, host name, name, without repeats"
    assert f"{at}\tdb\n" in hosts
    assert world.inspect("web/data-base")["Id"].startswith(short), "a link is a name"
    assert world.inspect("web/db")["Name"] == "/db"
    listed = {entry["Names"][0]: entry["Names"] for entry in world.daemon.call("GET", "/containers/json").ok()}
    assert listed == {"/db": ["/db", "/web/data-base", "/web/db"], "/web": ["/web"]}
    world.remove("web", "db")


def test_a_linked_container_that_comes_back_is_found(world: World) -> None:
    world.run("db")
    world.run("web", Links=["db"])
    before = world.address("db")
    world.daemon.call("POST", "/containers/db/stop?t=0").ok()
    world.run("taker")
    world.daemon.call("POST", "/containers/db/start").ok()
    after = world.address("db")
    assert after != before
    hosts = world.exec("web", "cat", "/etc/hosts")
    assert f"{after}\tdb\n" in hosts
    assert f"{before}\tdb\n" not in hosts
    world.daemon.call("POST", "/containers/db/rename?name=store").ok()
    assert world.inspect("web")["HostConfig"]["Links"] == ["/store:/web/db"]
    world.remove("web", "store", "taker")


def test_a_link_survives_the_daemon(world: World) -> None:
    world.run("db")
    world.run("web", Links=["db:d"])
    world.daemon.kill()
    world.daemon.start()
    assert world.inspect("web/d")["Name"] == "/db"
    created = world.daemon.call("POST", "/containers/web/exec", {"Cmd": ["env"], "AttachStdout": True}).ok()["Id"]
    output = world.daemon.call("POST", f"/exec/{created}/start", {}).body.decode(errors="replace")
    assert "D_NAME=/web/d\n" in output, "an exec has the variables too"
    world.remove("web", "db")


def test_what_is_refused(world: World) -> None:
    body = {"Image": "busybox", "Cmd": ["true"]}
    for link, status, text in (
        ("nope", 400, "could not get container for nope: No such container: nope"),
        (":", 400, 'could not get container for : invalid name or ID supplied: ""'),
        ("a:b:c", 500, "bad format for links: a:b:c"),
    ):
        assert message(world, "POST", "/containers/create?name=ex", {**body, "HostConfig": {"Links": [link]}}) == (status, text)
    world.create("db")
    world.create("web", Links=["db:d"])
    text = "Cannot link to a non running container: /db AS /web/d"
    assert message(world, "POST", "/containers/web/start") == (500, text)
    assert (world.inspect("web")["State"]["ExitCode"], world.inspect("web")["State"]["Error"]) == (128, text)
    world.network("front")
    world.run("other", network="front")
    world.create("late", Links=["other:o"])
    text = f"container {world.inspect('other')['Id']} not attached to default bridge network"
    assert message(world, "POST", "/containers/late/start") == (500, text)
    world.remove("db", "web", "other", "late")
    world.remove_networks("front")


def test_a_link_is_removed_and_its_container_is_not(world: World) -> None:
    world.run("db")
    world.run("web", Links=["db:one", "db:two"])
    assert message(world, "DELETE", "/containers/web?link=1") == (500, "Conflict, cannot remove the default link name of the container")
    assert message(world, "DELETE", "/containers/nope/one?link=1") == (404, "No such container: nope/one")
    world.daemon.call("DELETE", "/containers/web/one?link=1").ok()
    assert message(world, "DELETE", "/containers/web/one?link=1") == (404, "No such container: web/one")
    assert world.inspect("web")["HostConfig"]["Links"] == ["/db:/web/two"]
    hosts = world.exec("web", "cat", "/etc/hosts")
    assert "\tone" not in hosts
    assert f"{world.address('db')}\ttwo db\n" in hosts
    world.remove("web", "db")


def test_a_link_on_a_network_with_names_is_this_container_s_alone(world: World) -> None:
    world.network("front")
    target = world.run("db", network="front")
    web = world.run("web", network="front", Endpoint={"Links": ["db:d", "later:l"]}, Links=["db:d"])
    assert web.run(lambda: lookup("d")) == [world.address("db", "front")]
    assert web.run(lambda: lookup("d.front")) == [world.address("db", "front")]
    assert target.run(lambda: lookup("d")) == ["SERVFAIL"]
    assert world.inspect("web")["HostConfig"]["Links"] is None
    assert world.inspect("web")["NetworkSettings"]["Networks"]["front"]["Links"] == ["db:d", "later:l"]
    assert not [entry for entry in environment(world, "web") if entry.startswith("D_")]
    world.run("later", network="front")
    assert web.run(lambda: lookup("l")) == [world.address("later", "front")]
    world.remove("web", "db", "later")
    world.remove_networks("front")


def serving_at(world: World, name: str, address: str) -> Caller:
    """A container at an address that another one had: given back behind the answer to its stop."""
    for _ in range(20):
        caller = world.serve(name)
        if world.address(name) == address:
            return caller
        world.remove(name)
        time.sleep(0.1)
    pytest.fail(f"nobody got {address}")


@pytest.mark.parametrize("daemon", [["--icc=false"]], indirect=True)
def test_links_open_exposed_ports_where_neighbours_are_apart(world: World) -> None:
    """Both ways as long as the link and both containers are there; never another port, never another container."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "httpd -p 80 -h /www; httpd -f -p 81 -h /www"], "ExposedPorts": {"80/tcp": {}}}
    binds = {"Binds": [f"{world.www}:/www:ro"]}
    world.daemon.call("POST", "/containers/create?name=db", {**body, "Hostname": "db", "HostConfig": binds}).ok()
    world.daemon.call("POST", "/containers/db/start").ok()
    assert world.listens(world.caller("db"), 81)
    web = world.run("web", Links=["db"])
    stranger = world.run("stranger")
    at, own = world.address("db"), world.address("web")

    def reached(caller: Caller, address: str, port: int = 80) -> str:
        return caller.http(address, port, timeout=1)

    assert web.http(at, 80) == f"db {own}"
    assert reached(web, at, 81) == ""
    assert reached(stranger, at) == ""
    world.daemon.kill()
    world.daemon.start()
    assert web.http(at, 80) == f"db {own}", "a new daemon knows it"
    world.daemon.call("POST", "/containers/db/stop?t=0").ok()
    taker = serving_at(world, "taker", at)
    assert reached(web, at) == "", "who has the address now is not linked"
    assert reached(taker, own) == ""
    world.daemon.call("POST", "/containers/db/start").ok()
    assert world.listens(world.caller("db"), 81)
    assert web.http(world.address("db"), 80) == f"db {own}"
    world.daemon.call("DELETE", "/containers/web/db?link=1").ok()
    assert reached(web, world.address("db")) == ""
    world.remove("web", "db", "stranger", "taker")
