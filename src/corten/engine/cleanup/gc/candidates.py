"""Everything that garbage collection may think of: the trash, build cache, images; and what speaks against each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from corten.build.cache import BuildCache
from corten.build.cachemounts import CacheMount, CacheMounts
from corten.engine.cleanup.gc.plan import Candidate, CandidateKind, LayerHolders
from corten.engine.cleanup.last_uses import LastUses
from corten.engine.cleanup.trash import TrashCan
from corten.engine.protection import LABEL, is_protecting
from corten.engine.records.containers import ContainerCatalog
from corten.ids import ImageId, short_id
from corten.store.images import Image
from corten.store.opened import Store
from corten.store.records.holders import layers_held

STEP, MOUNT = "step:", "mount:"


@dataclass(frozen=True, slots=True)
class GcCandidates:
    """Belongs to the event loop; cache mounts and volumes in the trash are measured in threads."""

    store: Store
    trash: TrashCan
    uses: LastUses
    containers: ContainerCatalog
    cache: BuildCache
    caches: CacheMounts

    async def all(self) -> tuple[list[Candidate], LayerHolders]:
        """What there is at one moment: nothing is waited for once the first record was read."""
        await self.trash.list()  # measures
        sizes = {mount.id: await asyncio.to_thread(self.caches.size, mount.id) for mount in self.caches.list()}
        layered = LayerHolders(
            {layer.diff_id: layer.size for layer in self.store.layers.all()}, layers_held(self.store.db, self.store.layers.leases)
        )
        mounts = [_mount(mount, sizes.get(mount.id, 0)) for mount in self.caches.list()]
        return [*self._trashed(layered), *self._steps(), *mounts, *self._images()], layered

    def _trashed(self, layered: LayerHolders) -> list[Candidate]:
        holders: dict[str, set[str]] = {}
        for keeper in layered.held_by:
            prefix, _, rest = keeper.partition(":")
            if prefix == "trash":
                holders.setdefault(rest.partition(":")[0], set()).add(keeper)
        return [
            Candidate(
                kind="trash",
                id=entry.id,
                name=entry.name,
                names=tuple(entry.body.get("tags", ())),
                used=entry.removed,
                own=max(entry.size, 0) if entry.kind == "volume" else 0,
                holders=frozenset(holders.get(entry.id, ())),
            )
            for entry in self.store.bin.all()
        ]

    def _steps(self) -> list[Candidate]:
        return [
            Candidate(
                kind="build-cache",
                id=f"{STEP}{entry.key}",
                name=entry.name,
                names=(entry.key,),
                used=entry.used,
                holders=frozenset((f"build:{entry.key}",)),
            )
            for entry in self.cache.entries()
        ]

    def _images(self) -> list[Candidate]:
        images = self.store.images.all()
        children: dict[str, Image] = {image.parent: image for image in images if image.parent}
        users = {entry.value.image_id: entry.value.name for entry in self.containers}
        used = self.uses.images()
        found = []
        for image in images:
            child = children.get(image.id)
            if not image.names and child is not None:
                continue  # goes with the last image that was made from it
            found.append(_image(image, max(image.added, image.last_tagged, used.get(image.id, 0)), _spared(image, users, child)))
        return found


def _mount(mount: CacheMount, size: int) -> Candidate:
    return Candidate(
        kind="build-cache",
        id=f"{MOUNT}{mount.id}",
        name=mount.id,
        used=mount.used,
        last=mount.is_download,
        own=size,
        spared="a build or a container has it" if mount.in_use else "",
    )


def _image(image: Image, used: int, spared: str) -> Candidate:
    repositories = {reference.familiar_name for reference in (*image.tags, *image.digests)}
    return Candidate(
        kind=_kind(image),
        id=image.id,
        name=_shown(image),
        names=(*image.repo_tags, *image.repo_digests, *sorted(repositories), short_id(image.id), image.id),
        used=used,
        holders=frozenset((f"image:{image.id}",)),
        spared=spared,
    )


def _kind(image: Image) -> CandidateKind:
    """An image that no registry has given could not be had again."""
    if not image.names:
        return "dangling"
    return "image" if image.digests else "own-image"


def _spared(image: Image, users: dict[ImageId, str], child: Image | None) -> str:
    if image.id in users:
        return f"container {users[image.id]} needs it"
    if is_protecting(image.config.run.labels or {}):
        return f"protected by its label {LABEL}"
    return f"image {_shown(child)} was made from it" if child is not None else ""


def _shown(image: Image) -> str:
    names: Sequence[str] = image.repo_tags or image.repo_digests
    return names[0] if names else short_id(image.id)
