"""`rmi` and `image prune`: Docker's rules for what may go, what is said about it, and what goes with it.

By a tag: the tag goes; when it was the last name, the image goes, too. By an id: one tag at most goes with the image, more need force.
Conflicts are hard (a child image, a running container) or soft (names left, a stopped container); force overrides soft ones.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from corten.engine.containers.listing import has_labels
from corten.engine.events import Events
from corten.engine.images.catalog import Catalog, ImageUser, Users, created_ns
from corten.engine.moments import parse_moment
from corten.errors import Conflict, EngineError
from corten.ids import ChainId, ImageId, short_id
from corten.oci.image import chain_ids
from corten.oci.reference import Reference, parse_reference
from corten.store.images import Image, Images
from corten.store.layers import Layer, Layers

PRUNE_FILTERS: Final = ("dangling", "label", "label!", "until")


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of the answer: a name, or an image's or layer's id."""

    untagged: str = ""
    deleted: str = ""


@dataclass(frozen=True, slots=True)
class Pruned:
    removed: tuple[Removed, ...]
    reclaimed: int  # bytes


class Removal:
    """Belongs to the event loop; the files themselves are deleted behind the answer."""

    def __init__(self, images: Images, layers: Layers, catalog: Catalog, users: Users, events: Events) -> None:
        self._images = images
        self._layers = layers
        self._catalog = catalog
        self._users = users
        self._events = events

    async def remove(self, name: str, *, force: bool = False, prune_parents: bool = True) -> list[Removed]:
        """Raises NotFound, and Conflict in Docker's words."""
        image = self._images.get(name)
        lines: list[Removed] = []
        if is_id_of(image, name):
            self._remove_by_id(image, lines, force=force)
        elif not self._remove_name(image, name, lines, force=force):
            return lines
        by_name = bool(lines) and not is_id_of(image, name)
        chains = self._chains()
        self._delete(image.id, lines, force=force, prune_parents=prune_parents, quiet=by_name)
        if any(line.deleted for line in lines):
            lines += [Removed(deleted=chain) for layer in await asyncio.to_thread(self._layers.collect) for chain in chains(layer)]
        return lines

    async def prune(self, filters: Mapping[str, Collection[str]], *, dangling_only: bool) -> Pruned:
        """Images that no container uses: untagged ones, or all of them. Filters: `until`, `label`, `label!`."""
        until = [parse_moment(text) for text in filters.get("until", ())]
        before = {layer.diff_id: layer.size for layer in self._layers.all()}
        removed: list[Removed] = []
        images = self._images.all()
        parents = {image.parent for image in images}
        for image in images:
            is_parent = not image.names and image.id in parents
            too_new = any(created_ns(image) > moment for moment in until)
            if is_parent or too_new or (dangling_only and image.tags) or not _has_wanted_labels(image, filters):
                continue
            for name in image.names or (image.id,):
                try:
                    removed += await self.remove(name)
                except EngineError:
                    continue  # in use, or gone with a name before
        after = {layer.diff_id for layer in self._layers.all()}
        reclaimed = sum(size for diff_id, size in before.items() if diff_id not in after)
        self._events.publish("image", "prune", "", {"reclaimed": str(reclaimed)})
        return Pruned(tuple(removed), reclaimed)

    def _remove_name(self, image: Image, name: str, lines: list[Removed], *, force: bool) -> bool:
        """Whether the image has no names left."""
        user = next((u for u in self._users() if u.image == image.id), None)
        if user is not None and not force and _has_one_name(image):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - container {short_id(user.container)} '
                f"is using its referenced image {short_id(image.id)}",
                reason="image-in-use",
            )
        reference = parse_reference(name).with_default_tag()
        reference = reference.with_digest(reference.digest) if reference.digest else reference
        self._untag(image, [reference], lines)
        left = [r for r in (*image.tags, *image.digests) if r != reference]
        if reference.digest is None and not any(r.name == reference.name and r.tag for r in left):
            orphans = [r for r in left if r.name == reference.name]
            self._untag(image, orphans, lines)
            left = [r for r in left if r.name != reference.name]
        return not left

    def _remove_by_id(self, image: Image, lines: list[Removed], *, force: bool) -> None:
        if _has_one_name(image):
            self._check(image, soft=not force, names_count=False)
            self._untag(image, [*image.tags, *image.digests], lines)

    def _untag(self, image: Image, references: Sequence[Reference], lines: list[Removed]) -> None:
        self._images.untag([str(r) for r in references])
        for reference in references:
            self._catalog.tell("untag", image.id, image.id)
            lines.append(Removed(untagged=reference.familiar))

    def _delete(self, image_id: ImageId, lines: list[Removed], *, force: bool, prune_parents: bool, quiet: bool) -> None:
        image = self._images.by_id(image_id)
        while image is not None:
            try:
                self._check(image, soft=not force, names_count=True)
            except _InUse as conflict:
                is_dangling = not image.names and not self._images.children(image.id)
                if quiet and (conflict.used or not is_dangling):
                    return
                raise
            self._untag(image, [*image.tags, *image.digests], lines)
            self._images.remove(image.id)
            self._catalog.tell("delete", image.id, image.id)
            lines.append(Removed(deleted=image.id))
            image = self._images.by_id(ImageId(image.parent)) if prune_parents and image.parent else None
            force, quiet = False, True

    def _check(self, image: Image, *, soft: bool, names_count: bool) -> None:
        """Raises _InUse when something stands against deleting the image."""
        if self._images.children(image.id):
            raise _InUse(image, "image has dependent child images", hard=True)
        users = [u for u in self._users() if u.image == image.id]
        if (running := _first(users, running=True)) is not None:
            raise _InUse(image, f"image is being used by running container {short_id(running.container)}", hard=True, used=True)
        if not soft:
            return
        if names_count and image.names:
            raise _InUse(image, "image is referenced in multiple repositories", hard=False)
        if (stopped := _first(users, running=False)) is not None:
            raise _InUse(image, f"image is being used by stopped container {short_id(stopped.container)}", hard=False, used=True)

    def _chains(self) -> "_Chains":
        return _Chains(self._images.all())


class _InUse(Conflict):
    def __init__(self, image: Image, why: str, *, hard: bool, used: bool = False) -> None:
        how = "cannot be forced" if hard else "must be forced"
        super().__init__(f"conflict: unable to delete {short_id(image.id)} ({how}) - {why}", reason="image-in-use")
        self.used = used


class _Chains:
    """Names a removed layer as Docker does: by the chain ids under which images stacked it before."""

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = images

    def __call__(self, layer: Layer) -> list[ChainId]:
        found = []
        for image in self._images:
            for diff_id, chain in zip(image.layers, chain_ids(image.layers), strict=True):
                if diff_id == layer.diff_id and chain not in found:
                    found.append(chain)
        return found


def is_id_of(image: Image, name: str) -> bool:
    """Whether `name` is (the beginning of) the image's id rather than one of its names."""
    return image.id.startswith(name) or image.id.removeprefix("sha256:").startswith(name)


def _has_one_name(image: Image) -> bool:
    """At most one tag, and digests only of that tag's repository."""
    tags, digests = image.tags, {r.name for r in image.digests}
    if len(tags) + len(image.digests) <= 1:
        return True
    return len(tags) <= 1 and len(digests) == 1 and (not tags or tags[0].name in digests)


def _has_wanted_labels(image: Image, filters: Mapping[str, Collection[str]]) -> bool:
    labels, unwanted = image.config.run.labels or {}, filters.get("label!", ())
    return has_labels(labels, filters.get("label", ())) and not (unwanted and has_labels(labels, unwanted))


def _first(users: Sequence[ImageUser], *, running: bool) -> ImageUser | None:
    return next((u for u in users if u.running == running), None)
