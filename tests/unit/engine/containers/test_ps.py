"""`docker ps`: filters, order, and the words for how long."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from corten.engine.containers.ps import ContainerListQuery, select, status_text
from corten.engine.records.containers import MIGRATIONS, ContainerCatalog
from corten.engine.values.container import ContainerConfig, Endpoint, EndpointConfig, MountPoint, PortBinding, State
from corten.errors import Invalid, NotFound
from corten.ids import ImageId, NetworkId
from corten.store.db import Database
from tests.unit.engine.containers.values import SECOND, container


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[ContainerCatalog]:
    with closing(Database(str(tmp_path / "db"), MIGRATIONS)) as database:
        catalog = ContainerCatalog(database)
        web = container("web", status="running", created=3, config=ContainerConfig(labels={"a": "1"}, exposed_ports=("80/tcp",)))
        point = MountPoint(type="volume", name="cache", source="/v", destination="/c")
        endpoint = Endpoint(config=EndpointConfig(network="ml"), network_id=NetworkId("net1"))
        catalog.add(replace(web, mounts=(point,), endpoints={"ml": endpoint}, ports={"80/tcp": (PortBinding(host_port="8080"),)}))
        db = container("db", status="exited", created=2, config=ContainerConfig(labels={"a": "2", "b": ""}))
        catalog.add(replace(db, state=State(status="exited", exit_code=3, started_at=1), image_id=ImageId("sha256:" + "2" * 64)))
        catalog.add(container("new", created=1))
        yield catalog


def names(catalog: ContainerCatalog, query: ContainerListQuery) -> list[str]:
    return [c.name for c in select(catalog, query, lambda ref: [ImageId("sha256:" + "2" * 64)] if ref == "two" else [])]


def test_running_ones_only_unless_asked(catalog: ContainerCatalog) -> None:
    assert names(catalog, ContainerListQuery()) == ["web"]
    assert names(catalog, ContainerListQuery(all=True)) == ["web", "db", "new"]
    assert names(catalog, ContainerListQuery(limit=2)) == ["web", "db"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": ["exited"]}, ["db"]),
        ({"status": ["exited", "created"]}, ["db", "new"]),
        ({"name": ["^/w"]}, ["web"]),
        ({"name": ["e"]}, ["web", "new"]),
        ({"name": ["("]}, []),
        ({"label": ["a"]}, ["web", "db"]),
        ({"label": ["a=2"]}, ["db"]),
        ({"label": ["a", "b"]}, ["db"]),
        ({"exited": ["3"]}, ["db"]),
        ({"exited": ["0"]}, []),
        ({"before": ["web"]}, ["db", "new"]),
        ({"since": ["new"]}, ["web", "db"]),
        ({"since": ["new"], "before": ["web"]}, ["db"]),
        ({"ancestor": ["two"]}, ["db"]),
        ({"ancestor": ["none"]}, []),
        ({"volume": ["cache"]}, ["web"]),
        ({"volume": ["/c"]}, ["web"]),
        ({"network": ["ml"]}, ["web"]),
        ({"network": ["net1"]}, ["web"]),
        ({"expose": ["80"]}, ["web"]),
        ({"expose": ["70-90/udp"]}, []),
        ({"publish": ["8080/tcp"]}, ["web"]),
        ({"health": ["none"]}, ["web", "db", "new"]),
        ({"health": ["healthy"]}, []),
        ({"is-task": ["false"]}, ["web", "db", "new"]),
        ({"name": []}, ["web", "db", "new"]),
    ],
)
def test_filter(catalog: ContainerCatalog, filters: dict[str, list[str]], found: list[str]) -> None:
    assert names(catalog, ContainerListQuery(all=True, filters=filters)) == found


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"foo": ["x"]}, "invalid filter 'foo'"),
        (
            {"status": ["x"]},
            "invalid filter 'status=x': invalid value for state (x): "
            "must be one of created, running, paused, restarting, removing, exited, dead",
        ),
        ({"health": ["x"]}, "invalid filter 'health=x': invalid value for health (x): must be one of none, starting, healthy, unhealthy"),
        ({"exited": ["x"]}, "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
    ],
)
def test_bad_filter(catalog: ContainerCatalog, filters: dict[str, list[str]], text: str) -> None:
    with pytest.raises(Invalid) as caught:
        names(catalog, ContainerListQuery(filters=filters))
    assert caught.value.message == text


def test_unknown_neighbour(catalog: ContainerCatalog) -> None:
    with pytest.raises(NotFound, match="No such container: x"):
        names(catalog, ContainerListQuery(filters={"before": ["x"]}))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(status="running", started_at=1), "Up 10 seconds"),
        (State(status="paused", started_at=1), "Up 10 seconds (Paused)"),
        (State(status="restarting", started_at=1, finished_at=8 * SECOND, exit_code=3), "Restarting (3) 2 seconds ago"),
        (State(status="exited", started_at=1, finished_at=8 * SECOND, exit_code=137), "Exited (137) 2 seconds ago"),
        (State(status="removing"), "Removal In Progress"),
        (State(status="dead"), "Dead"),
    ],
)
def test_status(state: State, text: str) -> None:
    assert status_text(replace(container(), state=state), now=10 * SECOND + 1) == text
