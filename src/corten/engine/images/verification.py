"""`image verify`: every file of stored layers against what the layer's tar said, and damaged layers fetched again.

A damaged layer is noted as such: from then on whatever brings it (a repair, a pull, a load) replaces it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from corten.engine.events import Events
from corten.errors import EngineError
from corten.ids import DiffId
from corten.registry.auth import Credentials
from corten.store.images import Image
from corten.store.layertar.examine import Examined, Fault, examine_layer
from corten.store.opened import Store
from corten.store.records.leases import Lease

State = Literal["whole", "damaged", "repaired"]


class Refetch(Protocol):
    """Brings a layer once more from where it came from."""

    async def bring(self, diff_id: DiffId, lease: Lease, credentials: Mapping[str, Credentials]) -> str:
        """The repository that had it. Raises NotFound when no registry is known to have it, Unavailable and what pulling raises."""
        ...


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of a layer. `images` are those that stack it, by tag or id; `origin` is the repository that a repair came from.

    `problem` says why a damaged layer was not repaired, and `hint` what else can be done; "" when no repair was asked for.
    """

    layer: DiffId
    images: tuple[str, ...]
    state: State
    files: int
    size: int
    faults: tuple[Fault, ...] = ()
    origin: str = ""
    problem: str = ""
    hint: str = ""


class Verification:
    """Belongs to the event loop; layers are read in threads, one at a time."""

    def __init__(self, store: Store, refetch: Refetch, events: Events) -> None:
        self._store = store
        self._refetch = refetch
        self._events = events

    def verify(
        self, names: Sequence[str], *, repair: bool = False, credentials: Mapping[str, Credentials] | None = None
    ) -> AsyncIterator[LayerReport]:
        """Each layer of the named images (none named: every layer stored) once, as it is done. Raises NotFound at once."""
        images = [self._store.images.get(name) for name in names]
        layers = (
            [diff_id for image in images for diff_id in image.layers] if names else [layer.diff_id for layer in self._store.layers.all()]
        )
        return self._each(list(dict.fromkeys(layers)), repair, credentials or {})

    async def _each(self, layers: Collection[DiffId], repair: bool, credentials: Mapping[str, Credentials]) -> AsyncIterator[LayerReport]:
        with self._store.layers.lease() as lease:
            for diff_id in layers:
                self._store.layers.hold(diff_id, lease)
                if self._store.layers.find(diff_id) is not None:  # else it was removed meanwhile
                    yield await self._one(diff_id, lease, repair, credentials)
        self._store.durability.settle_later()

    async def _one(self, diff_id: DiffId, lease: Lease, repair: bool, credentials: Mapping[str, Credentials]) -> LayerReport:
        found = await self._examined(diff_id)
        images = tuple(_name(image) for image in self._store.images.all() if diff_id in image.layers)
        if not found.faults:
            self._store.layers.damage.forget(diff_id)
            return LayerReport(diff_id, images, "whole", found.files, found.size)
        self._store.layers.damage.note(diff_id)
        damaged = LayerReport(diff_id, images, "damaged", found.files, found.size, found.faults)
        return await self._repaired(damaged, lease, credentials) if repair else damaged

    async def _repaired(self, damaged: LayerReport, lease: Lease, credentials: Mapping[str, Credentials]) -> LayerReport:
        try:
            origin = await self._refetch.bring(damaged.layer, lease, credentials)
        except EngineError as error:
            return _with(damaged, "damaged", problem=error.message, hint=error.hint or "")
        again = await self._examined(damaged.layer)
        if again.faults:
            return _with(
                damaged, "damaged", problem=f"the layer fetched from {origin} is damaged on the disk, too", hint="the disk may be failing"
            )
        self._events.publish("image", "repair", damaged.layer, {"from": origin})
        return _with(damaged, "repaired", origin=origin)

    async def _examined(self, diff_id: DiffId) -> Examined:
        return await asyncio.to_thread(examine_layer, self._store.layers.directory(diff_id), diff_id)


def _with(found: LayerReport, state: State, *, origin: str = "", problem: str = "", hint: str = "") -> LayerReport:
    return LayerReport(found.layer, found.images, state, found.files, found.size, found.faults, origin, problem, hint)


def _name(image: Image) -> str:
    return image.repo_tags[0] if image.repo_tags else image.id
