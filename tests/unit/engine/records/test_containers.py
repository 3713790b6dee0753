"""The catalog: rows that come back, look-up, names."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.records.containers import MIGRATIONS, ContainerCatalog
from corten.engine.values.container import Endpoint, EndpointConfig, HostConfig, PortBinding, RestartPolicy, State
from corten.errors import Conflict, Invalid, NotFound
from corten.ids import ContainerId, NetworkId
from corten.store.db import Database
from tests.unit.engine.containers.values import container


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(str(tmp_path / "db"), MIGRATIONS)) as database:
        yield database


def test_a_container_survives_the_process(database: Database) -> None:
    first = ContainerCatalog(database)
    host = HostConfig(restart_policy=RestartPolicy(name="always"), port_bindings={"80/tcp": (PortBinding(host_port="1"),)})
    entry = first.add(container(host=host))
    endpoint = Endpoint(config=EndpointConfig(network="bridge"), network_id=NetworkId("n"), ip_address="10.0.0.2")
    first.set_live(entry, state=State(status="running", pid=7, started_at=5), endpoints={"bridge": endpoint})
    first.replace(entry, replace(entry.value, name="renamed"))
    (again,) = ContainerCatalog(database)
    assert again.value == entry.value
    assert (again.value.name, again.value.state.pid, again.value.endpoints["bridge"].ip_address) == ("renamed", 7, "10.0.0.2")


def test_look_up(database: Database) -> None:
    catalog = ContainerCatalog(database)
    one = catalog.add(replace(container("one"), id=ContainerId("aab" + "0" * 61)))
    two = catalog.add(replace(container("two"), id=ContainerId("aac" + "0" * 61)))
    named_like_an_id = catalog.add(replace(container("aab"), id=ContainerId("b" * 64)))
    assert catalog.get(one.id) is one
    assert catalog.get("two") is two
    assert catalog.get("/two") is two
    assert catalog.get("aac") is two
    assert catalog.get("aab") is named_like_an_id
    with pytest.raises(Invalid, match="multiple IDs found with provided prefix: aa"):
        catalog.get("aa")
    for unknown in ("", "x", "/"):
        with pytest.raises(NotFound, match=f"No such container: {unknown}"):
            catalog.get(unknown)


def test_a_name_is_one_containers(database: Database) -> None:
    catalog = ContainerCatalog(database)
    first = catalog.add(container("web"))
    other = catalog.add(container("other"))
    text = (
        f'Conflict. The container name "/web" is already in use by container "{first.id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    with pytest.raises(Conflict) as caught:
        catalog.add(replace(container("web"), id=ContainerId("c" * 64)))
    assert caught.value.message == text
    with pytest.raises(Conflict, match="already in use"):
        catalog.replace(other, replace(other.value, name="web"))
    catalog.replace(first, replace(first.value, name="free"))
    catalog.replace(other, replace(other.value, name="web"))
    assert catalog.get("web") is other


def test_removed_is_gone_for_good(database: Database) -> None:
    catalog = ContainerCatalog(database)
    entry = catalog.add(container("web"))
    catalog.remove(entry)
    assert not list(catalog)
    assert not list(ContainerCatalog(database))
    with pytest.raises(NotFound):
        catalog.check_present(entry, "web")
