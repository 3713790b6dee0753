"""Images as users list, inspect and name them. What removes them is `removal`, what brings and sends them is `transfer`."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from corten.engine.events import Events
from corten.engine.filters import has_labels
from corten.engine.images.patterns import compile_pattern
from corten.engine.images.platforms import PlatformEntry, entries_of
from corten.engine.timestamps import parse_moment
from corten.errors import Invalid, NotFound
from corten.ids import ContainerId, DiffId, ImageId
from corten.oci.platform import Platform, can_run, normalise
from corten.oci.reference import Reference, parse_reference
from corten.store.images import Image, Images
from corten.store.layers import Layers
from corten.store.origins import Origins

Filters = Mapping[str, Collection[str]]
LIST_FILTERS: Final = ("before", "dangling", "label", "reference", "since", "until")


@dataclass(frozen=True, slots=True)
class ImageUser:
    """A container and the image that it was made from."""

    container: ContainerId
    image: ImageId
    running: bool


ImageUsers = Callable[[], Collection[ImageUser]]
"""All containers, as the image side needs them."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A line of `images`. `shared_size` is what other images hold, too, in bytes (-1 = not asked); `users` are container ids."""

    image: Image
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    shared_size: int
    users: tuple[ContainerId, ...]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One step of an image, newest first in lists. `id` is "<missing>" for steps that are no image here; `created` is ns or 0."""

    id: str
    created: int
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageListQuery:
    """`all` shows images that only serve as parents, too. Filters: LIST_FILTERS."""

    all: bool = False
    shared_size: bool = False
    filters: Filters = field(default_factory=dict)


class ImageCatalog:
    """Everything here takes milliseconds at most and belongs to the event loop."""

    def __init__(self, images: Images, layers: Layers, origins: Origins, users: ImageUsers, events: Events) -> None:
        self._images = images
        self._layers = layers
        self._origins = origins
        self._users = users
        self._events = events

    def get(self, name: str, platform: Platform | None = None) -> Image:
        """Raises NotFound ("No such image: …"), also when the image is for another platform than the one asked for."""
        image = self._images.get(name)
        found = normalise(image.config.os or "linux", image.config.architecture, image.config.variant)
        if platform is not None and not can_run(platform, found):
            text = f"image with reference {name} was found but its platform ({found}) does not match the specified platform ({platform})"
            raise NotFound(text, reason="no-such-platform")
        return image

    def summaries(self, query: ImageListQuery) -> list[ListedImage]:
        """Newest first. Raises Invalid for a bad filter value and NotFound for an unknown image in `before` or `since`."""
        everything = self._images.all()
        wanted = _ImageFilter(query, self._images)
        parents = {image.parent for image in everything}
        users: dict[ImageId, list[ContainerId]] = {}
        for user in self._users():
            users.setdefault(user.image, []).append(user.container)
        shared_sizes = self._shared_sizes(everything) if query.shared_size else None
        found = []
        for image in everything:
            names = wanted.names(image, is_parent=image.id in parents)
            if names is None:
                continue
            tags, digests = names
            shared = sum(shared_sizes.get(diff_id, 0) for diff_id in set(image.layers)) if shared_sizes is not None else -1
            found.append(ListedImage(image, tags, digests, shared, tuple(users.get(image.id, ()))))
        return sorted(found, key=lambda summary: created_ns(summary.image), reverse=True)

    def history(self, name: str, platform: Platform | None = None) -> list[HistoryLine]:
        image = self.get(name, platform)
        lines: list[HistoryLine] = []
        sizes = iter([self._layers.get(diff_id).size for diff_id in image.layers])
        for step in image.config.history or ():
            size = 0 if step.empty_layer else next(sizes, None)
            if size is None:
                raise Invalid(f"too many non-empty layers in History section of {name}", reason="bad-image")
            created = parse_moment(step.created) if step.created else 0
            lines.insert(0, HistoryLine("<missing>", created, step.created_by, step.comment, size))
        return self._with_ids(lines, image)

    def layer_paths(self, image: Image) -> Sequence[str]:
        """Where the image's layers lie unpacked, top first."""
        return [self._layers.path(diff_id) for diff_id in reversed(image.layers)]

    def entries(self, image: Image) -> Sequence[PlatformEntry]:
        """What the image's index lists, or the image alone."""
        return entries_of(image, self._images, self._origins)

    def tag(self, name: str, repository: str, tag: str) -> None:
        """`docker tag`. Raises Invalid for a bad or ambiguous target, NotFound for an unknown image. "" as target does nothing."""
        target = parse_target(repository, tag)
        image = self._images.get(name)
        if target is not None:
            self.point(target, image.id)

    def point(self, reference: Reference, image_id: ImageId) -> None:
        """Give the image a tag and tell it."""
        if reference.familiar_name == "sha256":
            raise Invalid("refusing to create an ambiguous tag using digest algorithm as name", reason="bad-reference")
        self._images.tag(reference, image_id)
        self.publish("tag", image_id, reference.familiar)

    def publish(self, action: str, image_id: ImageId, name: str) -> None:
        """An image's event: its labels, if it is still there, and a name."""
        image = self._images.by_id(image_id)
        self._events.publish("image", action, image_id, self.attributes(image, name) if image else {"name": name})

    def attributes(self, image: Image, name: str) -> Mapping[str, str]:
        """What an image's event says besides its id."""
        return dict(sorted(((image.config.run.labels or {}) | {"name": name}).items()))

    def family(self, name: str) -> Collection[ImageId]:
        """The image that `name` means and all that were made from it, for `ps --filter ancestor=`."""
        try:
            image = self._images.find(name)
        except Invalid:
            return ()
        if image is None:
            return ()
        depth = len(image.layers)
        related = {i.id for i in self._images.all() if i.layers[:depth] == image.layers and depth}
        return related | {image.id}

    def _shared_sizes(self, images: Sequence[Image]) -> dict[DiffId, int]:
        """Sizes of the layers that more than one image stacks."""
        uses = Counter(diff_id for image in images for diff_id in set(image.layers))
        return {layer.diff_id: layer.size for layer in self._layers.all() if uses[layer.diff_id] > 1}

    def _with_ids(self, lines: list[HistoryLine], image: Image) -> list[HistoryLine]:
        current: Image | None = image
        named = []
        for line in lines:
            if current is not None:
                line = HistoryLine(current.id, line.created, line.created_by, line.comment, line.size, current.repo_tags)  # noqa: PLW2901
                current = self._images.by_id(ImageId(current.parent)) if current.parent else None
            named.append(line)
        return named


class _ImageFilter:
    """The filters of one list call."""

    def __init__(self, query: ImageListQuery, images: Images) -> None:
        filters = query.filters
        self._all = query.all
        self._patterns = [compile_pattern(text) for text in filters.get("reference", ())]
        self._dangling = _boolean(filters.get("dangling", ()))
        self._labels = filters.get("label", ())
        self._before = [created_ns(images.get(name)) for name in filters.get("before", ())]
        self._before += [parse_moment(text) for text in filters.get("until", ())]
        self._since = [created_ns(images.get(name)) for name in filters.get("since", ())]

    def names(self, image: Image, *, is_parent: bool) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """The tags and digests to show; None when the image is not wanted."""
        if (self._before or self._since) and not self._is_timely(created_ns(image)):
            return None
        if self._labels and not has_labels(image.config.run.labels or {}, self._labels):
            return None
        tags = tuple(r.familiar for r in image.tags if self._matches(r))
        digests = tuple(r.familiar for r in image.digests if self._matches(r))
        if tags or digests:
            return None if self._dangling and tags else (tags, digests)
        hidden = is_parent and (not self._all or bool(self._dangling))
        return None if hidden or self._dangling is False or self._patterns else ((), ())

    def _is_timely(self, created: int) -> bool:
        return all(created < limit for limit in self._before) and all(created > limit for limit in self._since)

    def _matches(self, reference: Reference) -> bool:
        texts = (reference.familiar, reference.familiar_name)
        return not self._patterns or any(p.fullmatch(text) for p in self._patterns for text in texts)


def parse_target(repository: str, tag: str) -> Reference | None:
    """Where `tag`, `import` and `commit` point: `repository` may hold a tag itself, `tag` wins. None for "". Raises Invalid."""
    if not repository:
        return None
    reference = parse_reference(repository)
    if reference.digest is not None:
        raise Invalid("cannot import digest reference", reason="bad-reference")
    return reference.with_tag(tag) if tag else reference.with_default_tag()


def created_ns(image: Image) -> int:
    """0 when the image does not say."""
    return _moment(image.config.created) if image.config.created else 0


@lru_cache(maxsize=128)
def _moment(text: str) -> int:
    return parse_moment(text)


def _boolean(values: Collection[str]) -> bool | None:
    lowered = {value.lower() for value in values}
    if not lowered:
        return None
    if lowered <= {"1", "true"}:
        return True
    if lowered <= {"0", "false"}:
        return False
    raise Invalid(f"invalid filter 'dangling=[{' '.join(values)}]'", reason="bad-filter")
