"""An image side of the engine on a real store, with containers that a test makes up."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from corten.engine.events import Event, Events
from corten.engine.images.catalog import ImageUser
from corten.engine.images.service import Images
from corten.errors import NotFound
from corten.ids import ContainerId, DiffId, ImageId
from corten.oci.reference import parse_reference
from corten.registry.auth import Credentials
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store, open_store
from corten.store.records.leases import Lease
from tests.unit.store.tarballs import Member, tarball


class Refetched:
    """Stands for the registries: a layer is brought by what a test says, or no origin is known."""

    def __init__(self) -> None:
        self.work: Callable[[DiffId, Lease], None] | None = None

    async def bring(self, diff_id: DiffId, lease: Lease, credentials: Mapping[str, Credentials]) -> str:
        if self.work is None:
            raise NotFound("no registry is known to have this layer", reason="no-origin", hint="load it")
        self.work(diff_id, lease)
        return "registry.test/x"


@dataclass(slots=True)
class Ground:
    store: Store
    images: Images
    events: Events
    users: list[ImageUser] = field(default_factory=list)
    refetched: Refetched = field(default_factory=Refetched)

    @classmethod
    def open(cls, path: Path) -> "Ground":
        store, events, users, refetched = open_store(str(path)), Events(), list[ImageUser](), Refetched()
        return cls(store, Images(store, lambda: users, events, refetched), events, users, refetched)

    def layer(self, name: str, size: int = 100) -> DiffId:
        with self.store.layers.lease() as lease:
            diff_id = unpack_layer(self.store.layers, iter([tarball([Member(name, data=b"x" * size)])]), lease=lease).diff_id
            self.store.snapshots.prepare(f"keep-{name}", [diff_id])
        return diff_id

    def image(self, *tags: str, layers: tuple[DiffId, ...] = (), parent: str = "", created: int = 0, **config: object) -> ImageId:
        """`created` is in seconds since the epoch (0 = not said); `config` are keys of its run configuration."""
        fields = {
            "os": "linux",
            "architecture": "amd64",
            "author": f"{tags}{created}",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": [{"created_by": f"made {n}"} for n in range(len(layers))] + [{"created_by": "CMD", "empty_layer": True}],
        }
        if created:
            fields["created"] = f"1970-01-01T00:{created // 60:02}:{created % 60:02}Z"
        image_id = self.store.images.add(json.dumps(fields).encode(), parent=parent)
        for tag in tags:
            self.store.images.tag(parse_reference(tag), image_id)
        return image_id

    def use(self, image_id: ImageId, *, running: bool = False) -> ContainerId:
        container = ContainerId("c" * 12 + str(len(self.users)).zfill(52))
        self.users.append(ImageUser(container, image_id, running))
        return container

    def happened(self) -> list[tuple[str, str]]:
        events: list[Event] = self.events.past(0, None, {})
        return [(event.action, event.attributes.get("name", "")) for event in events]

    def release_layers(self) -> None:
        for key in self.store.snapshots.keys():  # noqa: SIM118
            self.store.snapshots.remove(key)
