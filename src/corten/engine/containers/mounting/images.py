"""Images mounted into a container: snapshots of theirs hold the layers for as long as the container exists."""

from collections.abc import Iterator

from corten.engine.values.container import Container
from corten.ids import DiffId, is_hex64


def held_images(container: Container) -> Iterator[tuple[str, tuple[DiffId, ...]]]:
    """(snapshot key, layers) of each."""
    for number, point in enumerate(container.mounts):
        if point.type == "image":
            yield f"{container.id}-{number}", point.layers


def owner_of(key: str) -> str:
    """The id of the container to which a snapshot belongs, its own or one of a mounted image; "" for others' (builds)."""
    container_id, _, number = key.partition("-")
    return container_id if is_hex64(container_id) and (number.isdecimal() or not number) else ""
