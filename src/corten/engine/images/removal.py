"""`rmi` and `image prune`: Docker's rules for what may go, what is said about it, and what goes with it.

By a tag: the tag goes; when it was the last name, the image goes, too. By an id: one tag at most goes with the image, more need force.
Conflicts are hard (a child image, a running container) or soft (names left, a stopped container); force overrides soft ones.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from corten.engine.dry_run import savepoint
from corten.engine.events import Events
from corten.engine.filters import has_labels
from corten.engine.images.catalog import ImageCatalog, ImageUser, ImageUsers, created_ns
from corten.engine.protection import check_labels, is_protecting
from corten.errors import Conflict, NotFound
from corten.ids import ContainerId, ImageId, short_id
from corten.oci.image import chain_ids
from corten.oci.reference import Reference, parse_reference
from corten.store.images import Image
from corten.store.opened import Store
from corten.store.trashbin.images import ImageBin

PRUNE_FILTERS: Final = ("dangling", "label", "label!", "until")


@dataclass(frozen=True, slots=True)
class ImageDeleteItem:
    """One line of the answer: a name, or an image's or layer's id."""

    untagged: str = ""
    deleted: str = ""


@dataclass(frozen=True, slots=True)
class ImagePruneReport:
    """`kept`: names of images that would have gone, were they not protected."""

    removed: tuple[ImageDeleteItem, ...]
    reclaimed: int  # bytes
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOptions:
    """`without`: containers that are to be thought away. `for_good`: past the trash."""

    force: bool = False
    prune_parents: bool = True
    force_protected: bool = False
    without: frozenset[ContainerId] = frozenset()
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class ImagePruneFilter:
    """`until`: ns since the epoch, 0 = any age. `labels` and `not_labels` as in the filters `label` and `label!`."""

    dangling_only: bool
    until: int = 0
    labels: Collection[str] = ()
    not_labels: Collection[str] = ()

    def wants(self, image: Image) -> bool:
        if (self.dangling_only and image.tags) or (self.until and created_ns(image) > self.until):
            return False
        labels = image.config.run.labels or {}
        return has_labels(labels, self.labels) and not (self.not_labels and has_labels(labels, self.not_labels))


@dataclass(slots=True)
class _Work:
    """One removal under way: the answer's lines, what is to be told, what is to go into the trash."""

    how: RemoveOptions
    lines: list[ImageDeleteItem] = field(default_factory=list)
    told: list[tuple[str, ImageId, Mapping[str, str]]] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    gone: list[Image] = field(default_factory=list)
    freed: int = 0
    lost: tuple[ImageId, dict[str, int]] | None = None


class ImageRemoval:
    """Belongs to the event loop. A removal is one transaction; a dry run is the same one, taken back."""

    def __init__(self, store: Store, catalog: ImageCatalog, users: ImageUsers, events: Events) -> None:
        self._store = store
        self._images = store.images
        self._bin = ImageBin(store.bin, store.images, store.layers, store.origins)
        self._catalog = catalog
        self._users = users
        self._events = events

    async def remove(self, name: str, how: RemoveOptions = RemoveOptions()) -> list[ImageDeleteItem]:
        """Raises NotFound, and Conflict in Docker's words."""
        work = self._transact(how, name, {})
        await self._conclude([work])
        return work.lines

    def dry_run(self, name: str, how: RemoveOptions) -> list[ImageDeleteItem]:
        """What `remove` would say. To be called in a `dry_run`; what was done in it before counts."""
        return self._transact(how, name, {}).lines

    async def prune(self, what: ImagePruneFilter, how: RemoveOptions = RemoveOptions()) -> ImagePruneReport:
        """Images that no container uses: untagged ones, or all of them."""
        done: list[_Work] = []
        try:
            pruned = self._prune(what, how, done)
        finally:
            await self._conclude(done)
        self._events.publish("image", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned

    async def evict(self, image_id: ImageId) -> int | None:
        """All of an image that no container uses, past the trash: the bytes that come back. None: it may not go any more."""
        image = self._images.by_id(image_id)
        how = RemoveOptions(for_good=True)
        if image is None or self._is_used(image, how) or is_protecting(image.config.run.labels or {}):
            return None
        done = list(self._prune_one(image, how))
        await self._conclude(done)
        return sum(work.freed for work in done) if any(work.gone for work in done) else None

    def dry_run_prune(self, what: ImagePruneFilter, how: RemoveOptions) -> ImagePruneReport:
        """As `dry_run`."""
        return self._prune(what, how, [])

    def _prune(self, what: ImagePruneFilter, how: RemoveOptions, done: list[_Work]) -> ImagePruneReport:
        """Adds to `done`, also when it is stopped by a full disk."""
        images = self._images.all()
        parents = {image.parent for image in images}
        wanted = [i for i in images if what.wants(i) and (i.names or i.id not in parents)]
        kept = [] if how.force_protected else [i for i in wanted if is_protecting(i.config.run.labels or {})]
        for image in wanted:
            if image not in kept:
                done.extend(self._prune_one(image, how))
        lines = tuple(line for work in done for line in work.lines)
        shown = tuple(self._shown(image) for image in kept if not self._is_used(image, how))
        return ImagePruneReport(lines, sum(work.freed for work in done), shown)

    def _prune_one(self, image: Image, how: RemoveOptions) -> Iterator[_Work]:
        """All names of one image, one after another; those that may not go stay."""
        names: dict[str, int] = {}
        for name in image.names or (image.id,):
            try:
                yield self._transact(how, name, names)
            except (NotFound, Conflict):
                continue  # in use, or gone with a name before

    def _transact(self, how: RemoveOptions, name: str, names: dict[str, int]) -> _Work:
        """Removes what `name` means, or changes nothing. `names`: those that the image has lost before; the trash gives them back, too."""
        work = _Work(how, names=names)
        with savepoint(self._store.db):
            self._remove(name, work)
            self._note_layers(work)
            if work.lost and not work.records and self._store.bin.keep:
                self._bin.note_lost(*work.lost)
            if work.records and self._store.bin.keep and not how.for_good:
                self._bin.put(work.records, work.freed)
        return work

    def _note_layers(self, work: _Work) -> None:
        """The layers that nobody needs any more, each behind the last image that needed it, named as Docker does: by the stacks that they
        were the tops of."""
        unneeded = {layer.diff_id: layer.size for layer in self._bin.unneeded()} if work.gone else {}
        for number, image in enumerate(work.gone):
            released = unneeded.keys() - {diff_id for parent in work.gone[number + 1 :] for diff_id in parent.layers}
            named = [chain for d, chain in zip(image.layers, chain_ids(image.layers), strict=True) if d in released]
            behind = work.lines.index(ImageDeleteItem(deleted=image.id)) + 1
            work.lines[behind:behind] = [ImageDeleteItem(deleted=chain) for chain in reversed(named)]
        released = {diff_id for image in work.gone for diff_id in image.layers} & unneeded.keys()
        work.freed += sum(unneeded[diff_id] for diff_id in released)

    async def _conclude(self, done: Sequence[_Work]) -> None:
        for work in done:
            for action, image_id, attributes in work.told:
                self._events.publish("image", action, image_id, attributes)
        if any(work.gone for work in done):
            await asyncio.to_thread(self._store.layers.collect)

    def _remove(self, name: str, work: _Work) -> None:
        image = self._images.get(name)
        if not work.how.force_protected:
            check_labels(f"image {self._shown(image)}", image.config.run.labels or {})
        if is_id_of(image, name):
            self._remove_by_id(image, work)
        elif not self._remove_name(image, name, work):
            return
        by_name = bool(work.lines) and not is_id_of(image, name)
        self._delete(image.id, work, quiet=by_name)

    def _remove_name(self, image: Image, name: str, work: _Work) -> bool:
        """Whether the image has no names left."""
        user = next((u for u in self._users_now(work.how) if u.image == image.id), None)
        if user is not None and not work.how.force and _has_one_name(image):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - container {short_id(user.container)} '
                f"is using its referenced image {short_id(image.id)}",
                reason="image-in-use",
            )
        reference = parse_reference(name).with_default_tag()
        reference = reference.with_digest(reference.digest) if reference.digest else reference
        self._untag(image, [reference], work)
        left = [r for r in (*image.tags, *image.digests) if r != reference]
        if reference.digest is None and not any(r.name == reference.name and r.tag for r in left):
            orphans = [r for r in left if r.name == reference.name]
            self._untag(image, orphans, work)
            left = [r for r in left if r.name != reference.name]
        return not left

    def _remove_by_id(self, image: Image, work: _Work) -> None:
        if _has_one_name(image):
            self._check(image, work.how, soft=not work.how.force, names_count=False)
            self._untag(image, [*image.tags, *image.digests], work)

    def _untag(self, image: Image, references: Sequence[Reference], work: _Work) -> None:
        names = self._bin.names_of(image.id)
        gone = {str(r): names[str(r)] for r in references if str(r) in names}
        work.names.update(gone)
        work.lost = (image.id, {**(work.lost[1] if work.lost else {}), **gone})
        self._images.untag([str(r) for r in references])
        for reference in references:
            work.told.append(("untag", image.id, self._catalog.attributes(image, image.id)))
            work.lines.append(ImageDeleteItem(untagged=reference.familiar))

    def _delete(self, image_id: ImageId, work: _Work, *, quiet: bool) -> None:
        image = self._images.by_id(image_id)
        force = work.how.force
        while image is not None:
            try:
                self._check(image, work.how, soft=not force, names_count=True)
            except _InUse as conflict:
                is_dangling = not image.names and not self._images.children(image.id)
                if quiet and (conflict.used or not is_dangling):
                    return
                raise
            self._untag(image, [*image.tags, *image.digests], work)
            lost = self._bin.take_lost(image.id)
            work.records.append(self._bin.record(image, {}, lost) if work.records else self._bin.record(image, work.names, lost))
            self._images.remove(image.id)
            work.gone.append(image)
            work.told.append(("delete", image.id, {"name": image.id}))
            work.lines.append(ImageDeleteItem(deleted=image.id))
            parent = self._images.by_id(ImageId(image.parent)) if work.how.prune_parents and image.parent else None
            image = parent if parent and not is_protecting(parent.config.run.labels or {}) else None
            force, quiet = False, True

    def _check(self, image: Image, how: RemoveOptions, *, soft: bool, names_count: bool) -> None:
        """Raises _InUse when something stands against deleting the image."""
        if self._images.children(image.id):
            raise _InUse(image, "image has dependent child images", hard=True)
        users = [u for u in self._users_now(how) if u.image == image.id]
        if (running := _first(users, running=True)) is not None:
            raise _InUse(image, f"image is being used by running container {short_id(running.container)}", hard=True, used=True)
        if not soft:
            return
        if names_count and image.names:
            raise _InUse(image, "image is referenced in multiple repositories", hard=False)
        if (stopped := _first(users, running=False)) is not None:
            raise _InUse(image, f"image is being used by stopped container {short_id(stopped.container)}", hard=False, used=True)

    def _users_now(self, how: RemoveOptions) -> Sequence[ImageUser]:
        return [user for user in self._users() if user.container not in how.without]

    def _is_used(self, image: Image, how: RemoveOptions) -> bool:
        return any(user.image == image.id for user in self._users_now(how))

    def _shown(self, image: Image) -> str:
        return image.repo_tags[0] if image.tags else short_id(image.id)


class _InUse(Conflict):
    def __init__(self, image: Image, why: str, *, hard: bool, used: bool = False) -> None:
        how = "cannot be forced" if hard else "must be forced"
        super().__init__(f"conflict: unable to delete {short_id(image.id)} ({how}) - {why}", reason="image-in-use")
        self.used = used


def is_id_of(image: Image, name: str) -> bool:
    """Whether `name` is (the beginning of) the image's id rather than one of its names."""
    return image.id.startswith(name) or image.id.removeprefix("sha256:").startswith(name)


def _has_one_name(image: Image) -> bool:
    """At most one tag, and digests only of that tag's repository."""
    tags, digests = image.tags, {r.name for r in image.digests}
    if len(tags) + len(image.digests) <= 1:
        return True
    return len(tags) <= 1 and len(digests) == 1 and (not tags or tags[0].name in digests)


def _first(users: Sequence[ImageUser], *, running: bool) -> ImageUser | None:
    return next((u for u in users if u.running == running), None)
