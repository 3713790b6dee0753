"""Docker's variables for linked containers, as the reference engine printed them."""

from dataclasses import replace

from corten.engine.containers.link_environment import link_environment
from corten.engine.values.container import Container, ContainerConfig, Endpoint, EndpointConfig, HostConfig
from corten.ids import ContainerId, ImageId, NetworkId

_BRIDGE = {"bridge": Endpoint(config=EndpointConfig(network="bridge"), network_id=NetworkId("n"), ip_address="172.17.0.2")}


def container(name: str, *links: str, **config: tuple[str, ...]) -> Container:
    return Container(
        id=ContainerId(f"id-{name}"),
        name=name,
        created=1,
        image_id=ImageId("sha256:0"),
        image_ref="busybox",
        path="true",
        args=(),
        config=ContainerConfig(**config),  # type: ignore[arg-type]
        host=HostConfig(links=links),
        endpoints=_BRIDGE,
    )


def test_ports_come_tcp_first_and_runs_are_told() -> None:
    db = container("db", exposed_ports=("7/sctp", "443-444/udp", "90/tcp", "80/tcp", "81"), env=("EMPTY=", "PATH=/bin", "BARE", "A=b c"))
    found = link_environment(container("web", "id-db:my-db"), {str(db.id): db}.get)
    at = "172.17.0.2"
    assert found[:2] == [f"MY_DB_PORT=tcp://{at}:80", f"MY_DB_PORT_80_TCP=tcp://{at}:80"]
    assert found[2:5] == [f"MY_DB_PORT_80_TCP_ADDR={at}", "MY_DB_PORT_80_TCP_PORT=80", "MY_DB_PORT_80_TCP_PROTO=tcp"]
    order = [entry.partition("=")[0] for entry in found if entry.endswith(("_PROTO=tcp", "_PROTO=sctp", "_PROTO=udp")) or "_END=" in entry]
    assert order == [
        "MY_DB_PORT_80_TCP_PROTO",
        "MY_DB_PORT_81_TCP_PROTO",
        "MY_DB_PORT_90_TCP_PROTO",
        "MY_DB_PORT_80_TCP_END",
        "MY_DB_PORT_80_TCP_PORT_END",
        "MY_DB_PORT_7_SCTP_PROTO",
        "MY_DB_PORT_443_UDP_PROTO",
        "MY_DB_PORT_444_UDP_PROTO",
        "MY_DB_PORT_443_UDP_END",
        "MY_DB_PORT_443_UDP_PORT_END",
    ]
    assert f"MY_DB_PORT_443_UDP_START=udp://{at}:443" in found
    assert found[-3:] == ["MY_DB_NAME=/web/my-db", "MY_DB_ENV_EMPTY=", "MY_DB_ENV_A=b c"]


def test_without_ports_there_is_only_the_name() -> None:
    assert link_environment(container("web", "id-no:no"), lambda _: container("no")) == ["NO_NAME=/web/no"]


def test_a_container_that_is_gone_or_nowhere_adds_nothing() -> None:
    nowhere = replace(container("db"), endpoints={})
    assert link_environment(container("web", "id-db:db", "gone:x"), lambda key: nowhere if key == "id-db" else None) == []
