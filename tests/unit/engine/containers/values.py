"""Containers made up for tests."""

from corten.engine.values.container import Container, ContainerConfig, HostConfig, State, Status
from corten.ids import ContainerId, ImageId

SECOND = 1_000_000_000


def container(
    name: str = "web",
    *,
    status: Status = "created",
    created: int = 0,
    config: ContainerConfig | None = None,
    host: HostConfig | None = None,
) -> Container:
    return Container(
        id=ContainerId(f"{abs(hash(name)):x}".ljust(64, "0")[:64]),
        name=name,
        created=created,
        image_id=ImageId("sha256:" + "1" * 64),
        image_ref="busybox",
        path="sh",
        args=(),
        config=config or ContainerConfig(image="busybox"),
        host=host or HostConfig(),
        state=State(status=status, started_at=SECOND if status != "created" else 0),
    )
