"""Containers as inspect and list show them."""

from collections.abc import Sequence

from msgspec import UNSET

from corten.api.types.container_config import from_config
from corten.api.types.containers import (
    ContainerInspect,
    ContainerSummary,
    DriverAnswer,
    HealthAnswer,
    HealthLog,
    NetworkSettingsAnswer,
    PortAnswer,
    StateAnswer,
    SummaryHostConfig,
    SummaryNetworks,
)
from corten.api.types.endpoints import from_endpoint
from corten.api.types.host_config import from_host_config, from_port_bindings
from corten.api.types.mounts import from_mount_point
from corten.engine.containers.inspection import ContainerQueries, Inspection, Sizes
from corten.engine.containers.ps import status_text
from corten.engine.records.state import has_process, is_up
from corten.engine.timestamps import format_moment
from corten.engine.values.container import Container, Endpoint, EndpointConfig, Health, PortBinding, State
from corten.ids import NetworkId

_NOWHERE = Endpoint(config=EndpointConfig(network=""), network_id=NetworkId(""))


def inspect_answer(found: Inspection) -> ContainerInspect:
    container = found.container
    config, host = container.config, container.host
    ran = container.state.started_at != 0 or container.state.error != ""
    return ContainerInspect(
        id=container.id,
        created=format_moment(container.created),
        path=container.path,
        args=list(container.args),
        state=state_answer(container.state),
        image=container.image_id,
        resolv_conf_path=found.resolv_conf_path if ran else "",
        hostname_path=found.hostname_path if ran else "",
        hosts_path=found.hosts_path if ran else "",
        log_path=found.log_path if ran else "",
        name=f"/{container.name}",
        restart_count=container.state.restart_count,
        driver="overlay2",
        platform=container.platform,
        exec_ids=list(found.exec_ids) or None,
        host_config=from_host_config(host),
        graph_driver=DriverAnswer(name="overlay2", data=dict(found.driver_data)),
        size_rw=UNSET if found.sizes is None else found.sizes.writable,
        size_root_fs=UNSET if found.sizes is None else found.sizes.root,
        mounts=[from_mount_point(point) for point in container.mounts],
        config=from_config(config),
        network_settings=network_settings(container, found.netns_path),
    )


def state_answer(state: State) -> StateAnswer:
    return StateAnswer(
        status=state.status,
        running=is_up(state),
        paused=state.status == "paused",
        restarting=state.status == "restarting",
        oom_killed=state.oom_killed,
        dead=state.status == "dead",
        pid=state.pid,
        exit_code=state.exit_code,
        error=state.error,
        started_at=format_moment(state.started_at),
        finished_at=format_moment(state.finished_at),
        health=UNSET if state.health is None else _health_answer(state.health),
    )


def _health_answer(health: Health) -> HealthAnswer:
    return HealthAnswer(
        status=health.status,
        failing_streak=health.failing_streak,
        log=[HealthLog(start=format_moment(r.start), end=format_moment(r.end), exit_code=r.exit_code, output=r.output) for r in health.log],
    )


def network_settings(container: Container, netns_path: str) -> NetworkSettingsAnswer:
    default = container.endpoints.get("bridge", _NOWHERE)
    return NetworkSettingsAnswer(
        sandbox_id=container.id if netns_path else "",
        sandbox_key=netns_path,
        ports=from_port_bindings(_ports(container)),
        endpoint_id=default.endpoint_id,
        gateway=default.gateway,
        global_ipv6_address=default.global_ipv6_address,
        global_ipv6_prefix_len=default.global_ipv6_prefix_len,
        ip_address=default.ip_address,
        ip_prefix_len=default.ip_prefix_len,
        ipv6_gateway=default.ipv6_gateway,
        mac_address=default.mac_address,
        networks={name: from_endpoint(endpoint) for name, endpoint in container.endpoints.items()},
    )


def summaries(containers: ContainerQueries, found: Sequence[Container], sizes: Sequence[Sizes | None]) -> list[ContainerSummary]:
    links = containers.link_names()
    rows = zip(found, sizes, containers.image_names(found), strict=True)
    return [_summary(container, size, image, links.get(container.id, ())) for container, size, image in rows]


def _summary(container: Container, sizes: Sizes | None, image: str, link_names: Sequence[str]) -> ContainerSummary:
    """`image` is what the image is called now, or its id."""
    return ContainerSummary(
        id=container.id,
        names=[f"/{container.name}", *link_names],
        image=image,
        image_id=container.image_id,
        command=command_text(container),
        created=container.created // 1_000_000_000,
        ports=list_ports(container),
        size_rw=UNSET if sizes is None or not sizes.writable else sizes.writable,
        size_root_fs=UNSET if sizes is None else sizes.root,
        labels=container.config.labels,
        state=container.state.status,
        status=status_text(container),
        host_config=SummaryHostConfig(network_mode=container.host.network_mode, annotations=container.host.annotations or UNSET),
        network_settings=SummaryNetworks(networks={name: from_endpoint(e) for name, e in container.endpoints.items()}),
        mounts=[from_mount_point(point) for point in container.mounts],
    )


def command_text(container: Container) -> str:
    """The command as one line: an argument with a space stands in quotes."""
    words = [f"'{word}'" if " " in word else word for word in container.args]
    return " ".join([container.path, *words])


def list_ports(container: Container) -> list[PortAnswer]:
    found: list[PortAnswer] = []
    for port, bindings in _ports(container).items():
        number, _, protocol = port.partition("/")
        for binding in bindings:
            found.append(
                PortAnswer(ip=binding.host_ip, private_port=int(number), public_port=int(binding.host_port or 0), type=protocol or "tcp")
            )
        if not bindings:
            found.append(PortAnswer(private_port=int(number), type=protocol or "tcp"))
    return found


def _ports(container: Container) -> dict[str, tuple[PortBinding, ...]]:
    """While it runs on a network of its own: what is exposed, with what is bound."""
    if not has_process(container.state) or not any(endpoint.endpoint_id for endpoint in container.endpoints.values()):
        return {}
    if not container.endpoints.keys() - {"host", "none"}:
        return {}
    exposed: dict[str, tuple[PortBinding, ...]] = dict.fromkeys(container.config.exposed_ports, ())
    return {**exposed, **container.ports}
