"""`load`, `save` and `import`: images in and out of this host as archives, in threads beside the event loop."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from corten.engine.images.catalog import ImageCatalog
from corten.engine.images.changes import apply_changes
from corten.engine.progress import Message, Note, Progress, Status, Throttle
from corten.engine.timestamps import format_moment
from corten.errors import Invalid, NotFound, Unavailable
from corten.ids import ImageId
from corten.kernel.libc import give_back_memory
from corten.oci.image import History, ImageConfig, RootFs, RunConfig, encode_image_config
from corten.oci.platform import Platform, host_platform
from corten.oci.reference import Reference, parse_reference
from corten.store.archive.attesting import statements_of
from corten.store.archive.load import LoadedImage, load_archive
from corten.store.archive.save import Saved, save_archive
from corten.store.layers import Layer
from corten.store.layertar.unpack import UNLIMITED, Limits, unpack_layer
from corten.store.opened import Store
from corten.store.records.leases import Lease
from corten.store.streams.loops import Outlet, drawn, with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.pack import pack_root
from corten.store.view import opened_view

Tell = Callable[[Message], None]
_DEFAULT_COMMENT: Final = "Imported from -"
_PIECE: Final = 256 << 10
_TIMEOUT: Final = 60.0
"""Seconds without a byte after which a server counts as gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What becomes of an imported root file system. `platform` None = this host's."""

    reference: Reference | None
    message: str = ""
    changes: Sequence[str] = ()
    platform: Platform | None = None


class ImageArchives:
    """Belongs to the event loop. Bodies are read at the pace at which they can be stored."""

    def __init__(self, store: Store, catalog: ImageCatalog, limits: Limits = UNLIMITED) -> None:
        self._store = store
        self._catalog = catalog
        self._limits = limits

    def load(self, body: AsyncIterator[bytes], *, quiet: bool, platform: Platform | None) -> AsyncGenerator[Message, None]:
        """Stores the archive's images while saying so. Raises Invalid, Unavailable and what reading `body` raises."""
        loop = asyncio.get_running_loop()

        async def start(tell: Tell) -> list[Message]:
            throttle = Throttle(lambda progress: _call(loop, tell, progress))

            def report(layer: str, current: int, total: int) -> None:
                if not quiet:
                    throttle(Progress(layer, "Loading layer", current, total))

            def work(chunks: Iterator[Chunk]) -> list[LoadedImage]:
                return load_archive(self._store, chunks, report=report, platform=platform, limits=self._limits)

            loaded = await with_body(body, work)
            await asyncio.to_thread(give_back_memory)
            await self._store.db.sync()
            return [note for image in loaded for note in self._tell_loaded(image)]

        return _narrated(start)

    def import_url(self, url: str, wanted: ImportOptions) -> AsyncGenerator[Message, None]:
        """`import_` of what `url` gives, while saying so. Raises what `import_` does, Unavailable when the server does not deliver."""
        checked = check_url(url)

        async def start(tell: Tell) -> list[Message]:
            tell(Status(f"Downloading from {checked}"))
            throttle = Throttle(tell)
            return [Status(await self.import_(_counted(fetched(checked), throttle), wanted))]

        return _narrated(start)

    async def import_(self, body: AsyncIterator[bytes], wanted: ImportOptions) -> ImageId:
        """An image of one layer: the root file system's tar in `body`. Raises Invalid, Unavailable and what reading `body` raises."""
        run = apply_changes(RunConfig(), wanted.changes)
        with self._store.layers.lease() as lease:
            layer = await with_body(body, lambda chunks: self._unpack(chunks, lease))
            image_id = self._store.images.add(_imported(layer, run, wanted))
        self._store.durability.settle_later()
        await self._store.db.sync()
        if wanted.reference is not None:
            self._catalog.point(wanted.reference, image_id)
        self._catalog.publish("import", image_id, image_id)
        return image_id

    async def tree(self, name: str) -> AsyncIterator[bytes]:
        """The image's files as one tar, as its layers stack up. Raises NotFound before the first byte is asked for."""
        image = self._store.images.get(name)
        layers = self._store.layers
        layers.require(image.layers)

        def work(outlet: Outlet) -> None:
            with layers.lease() as lease:
                for diff_id in image.layers:
                    layers.hold(diff_id, lease)
                # Never one directory alone, which would show its whiteouts.
                with opened_view([*(layers.path(d) for d in reversed(image.layers)), layers.empty_path()]) as root:
                    pack_root(root, outlet.put)

        return drawn(work)

    async def save(self, names: Sequence[str], platform: Platform | None = None) -> AsyncIterator[bytes]:
        """The archive of the named images. Raises NotFound before the first byte is asked for."""
        wanted = self._find_saved(names, platform)

        def work(outlet: Outlet) -> None:
            with self._store.layers.lease() as lease:
                for saved in wanted:
                    for diff_id in saved.image.layers:
                        self._store.layers.hold(diff_id, lease)
                for chunk in save_archive(self._store.layers, wanted):
                    outlet.put(chunk)

        for saved in wanted:
            self._catalog.publish("save", saved.image.id, saved.image.id)
        return drawn(work)

    def _find_saved(self, names: Sequence[str], platform: Platform | None) -> list[Saved]:
        """Docker's rules: `name:tag` offers that tag, `name` every tag of the repository, an id none."""
        found: dict[ImageId, list[Reference]] = {}
        for name in names:
            for image_id, tags in self._resolve(name):
                offered = found.setdefault(image_id, [])
                offered += [tag for tag in tags if tag not in offered]
        try:
            images = [(self._catalog.get(image_id, platform), tuple(tags)) for image_id, tags in found.items()]
        except NotFound as error:
            if error.reason != "no-such-platform":
                raise
            raise NotFound(f"no suitable export target found for platform {platform}", reason=error.reason) from error
        if platform is not None:  # the image alone
            return [Saved(image, tags) for image, tags in images]
        origins = self._store.origins
        return [Saved(image, tags, statements_of(origins.attachments_of(image.id).values())) for image, tags in images]

    def _resolve(self, name: str) -> list[tuple[ImageId, list[Reference]]]:
        images = self._store.images
        if images.find_whole(name) or images.find_whole(f"sha256:{name}"):
            return [(images.get(name).id, [])]
        reference = parse_reference(name)
        if reference.is_name_only:
            tagged = [(image.id, [tag]) for image in images.all() for tag in image.tags if tag.name == reference.name]
            if tagged:
                return tagged
        image_id = images.find_id(name)
        if image_id is None:
            raise NotFound(f"No such image: {name}", reason="no-such-image")
        named = reference.tag is not None and reference.digest is None and reference in images.get(name).tags
        return [(image_id, [reference] if named else [])]

    def _unpack(self, chunks: Iterator[Chunk], lease: Lease) -> Layer:
        return unpack_layer(self._store.layers, chunks, lease=lease, limits=self._limits)

    def _tell_loaded(self, image: LoadedImage) -> Iterator[Message]:
        for tag, before in image.replaced:
            yield Note(f"The image {tag.familiar} already exists, renaming the old one with ID {before} to empty string\n")
        for tag in image.tags:
            yield Note(f"Loaded image: {tag.familiar}\n")
        if not image.tags:
            yield Note(f"Loaded image ID: {image.id}\n")
        self._catalog.publish("load", image.id, image.id)


def _imported(layer: Layer, run: RunConfig, wanted: ImportOptions) -> bytes:
    platform = wanted.platform or host_platform()
    if platform.os != "linux":
        raise Invalid("operating system is not supported", reason="wrong-os")
    created = format_moment(time.time_ns())
    comment = wanted.message or _DEFAULT_COMMENT
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        created=created,
        comment=comment,
        config=run,
        rootfs=RootFs(diff_ids=[layer.diff_id]),
        history=[History(created=created, comment=comment)],
    )
    return encode_image_config(config)


async def _narrated(start: Callable[[Tell], Awaitable[Sequence[Message]]]) -> AsyncGenerator[Message, None]:
    """What the work that `start` begins tells on its way and returns at its end. Left early, it is cancelled and awaited."""
    messages: asyncio.Queue[Message | None] = asyncio.Queue()
    running = asyncio.ensure_future(start(messages.put_nowait))
    running.add_done_callback(lambda _: messages.put_nowait(None))
    try:
        while (message := await messages.get()) is not None:
            yield message
        for message in await running:
            yield message
    finally:
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: raised above, or nobody listens any more


async def _counted(source: AsyncIterator[bytes], throttle: Throttle) -> AsyncIterator[bytes]:
    size = 0
    async for piece in source:
        size += len(piece)
        throttle(Progress("", "Importing", size, 0))
        yield piece


def _call(loop: asyncio.AbstractEventLoop, function: Tell, message: Message) -> None:
    """From a thread; a loop that closed meanwhile has nobody to tell."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, message)


def check_url(text: str) -> str:
    """`text` as an http or https URL; one without a scheme means http, as in Docker. Raises Invalid."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an address, a port that is none
        is_good = False
    if not is_good:
        raise Invalid(f'cannot import from "{text}": not an http or https URL', reason="bad-url")
    return url


def fetched(url: str) -> AsyncIterator[bytes]:
    """The body of `url` (checked). Proxies and redirects are followed. Raises Unavailable, naming the URL."""

    def work(outlet: Outlet) -> None:
        import urllib.error
        import urllib.request  # three megabytes that an idle daemon does not carry

        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
                while piece := answer.read(_PIECE):
                    outlet.put(piece)
        except urllib.error.HTTPError as error:
            error.close()
            raise Unavailable(f'Get "{url}": {error.code} {error.reason}', reason="download-failed") from error
        except OSError as error:
            raise Unavailable(f'Get "{url}": {_plain(url, error)}', reason="download-failed") from error

    return drawn(work)


def _plain(url: str, error: OSError) -> str:
    """In Docker's words where it is about reaching the server."""
    parts, cause = urlsplit(url), getattr(error, "reason", None) or error
    if isinstance(cause, OSError) and cause.errno:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"dial tcp {parts.hostname}:{port}: connect: {os.strerror(cause.errno).lower()}"
    return str(cause)
