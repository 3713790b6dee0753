"""Loading images from an archive that streams in: members are judged, hashed and unpacked as they arrive, images made at the end.

    source ─▶ [decompress] ─▶ outer tar ─┬─ JSON members: kept (documents)
                                         └─ layers ─▶ unpack_layer; packed ones in [workers], up to WORKERS at once

Nothing is written twice and nothing is kept in memory but documents. Until images are recorded, a lease holds their layers.
"""

import hashlib
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Final

from corten.errors import Invalid
from corten.ids import DiffId, Digest, ImageId
from corten.oci.digest import sha256_digest
from corten.oci.image import ImageConfig, parse_image_config
from corten.oci.platform import Platform, can_run, normalise
from corten.oci.reference import Reference
from corten.store.archive.attested import as_attachments, attested_configs
from corten.store.archive.attesting import Statement
from corten.store.archive.documents import ArchivedImage, read_images
from corten.store.layers import Layer
from corten.store.layertar.unpack import UNLIMITED, Limits, unpack_layer
from corten.store.opened import Store
from corten.store.origins import LayerBlob, StoredManifest
from corten.store.records.leases import Lease
from corten.store.streams.compression import decompressed, sniff, sniffed
from corten.store.streams.threads import Channel, ChannelClosed, Chunk, Prefetched
from corten.store.tar.header import BLOCK, FILE, HARD_LINK, SYMLINK, ZERO_BLOCK, Entry, checksum_holds
from corten.store.tar.places import clean_name
from corten.store.tar.reader import TarReader

WORKERS: Final = 2
_CHANNEL_BYTES: Final = 4 << 20
_DOCUMENT_BYTES: Final = 8 << 20
_ALL_DOCUMENTS_BYTES: Final = 64 << 20
_BLOB: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_PODMAN_LAYER: Final = re.compile(r"([0-9a-f]{64})\.tar")
"""Named by diff id there; elsewhere such a name promises nothing, so it is only used to skip what is stored."""

Report = Callable[[str, int, int], None]
"""Called with a layer's short name, and how many bytes of how many have been read of it."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """`replaced`: tags that pointed at another image before, with that image."""

    id: ImageId
    tags: tuple[Reference, ...]
    replaced: tuple[tuple[Reference, ImageId], ...]


def load_archive(
    store: Store, source: Iterator[Chunk], *, report: Report, platform: Platform | None = None, limits: Limits = UNLIMITED
) -> list[LoadedImage]:
    """Stores every image of the docker-archive or OCI layout (plain or compressed) in `source`. Blocks.

    Raises Invalid for what is no such archive, is damaged or hostile; Unavailable when the disk is full. No image is recorded then, and
    layers that nothing else needs are removed.
    """
    try:
        with store.layers.lease() as lease, ExitStack() as stages:
            compression, source = sniffed(source)
            plain = decompressed(source, compression)
            if compression != "none":
                plain = stages.enter_context(Prefetched(plain))
            members = stages.enter_context(_Members(store, lease, report, limits))
            members.read(TarReader(plain))
            images = read_images(members.documents, platform)
            attested = attested_configs(members.documents)
            return [_record(store, members, image, platform, attested) for image in images]
    finally:
        store.layers.collect()
        store.durability.settle_later()


def _record(
    store: Store, members: "_Members", image: ArchivedImage, platform: Platform | None, attested: Mapping[str, list[Statement]]
) -> LoadedImage:
    raw = members.document(image.config)
    config = parse_image_config(raw)
    _check_platform(config, platform)
    diff_ids = config.layers
    if len(diff_ids) != len(image.layers):
        raise Invalid(f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(image.layers)}", reason="bad-archive")
    for position, (name, diff_id) in enumerate(zip(image.layers, diff_ids, strict=True)):
        members.require(name, diff_id, position)
    with store.db.transaction():
        image_id = store.images.add(raw, parent=image.parent if store.images.find_whole(image.parent) else "")
        replaced = [(tag, before) for tag in image.tags if (before := store.images.tag(tag, image_id)) is not None]
        if image.manifest is not None:
            digest, media_type, manifest = image.manifest
            store.origins.add_manifest(StoredManifest(digest, image_id, media_type, manifest))
        for attachment in as_attachments(attested.get(image_id, []), image_id):
            store.origins.replace_attachment(attachment)
    return LoadedImage(image_id, image.tags, tuple(replaced))


def _check_platform(config: ImageConfig, platform: Platform | None) -> None:
    if config.os not in ("", "linux"):
        raise Invalid(f"cannot load {config.os} image on linux", reason="wrong-os")
    if platform is not None and not can_run(platform, found := normalise(config.os or "linux", config.architecture, config.variant)):
        raise Invalid(f"requested platform ({platform}) does not match the image's ({found})", reason="no-such-platform")


class _Members:
    """The archive's members: documents by name, layers by name as futures, links. A context manager: leaving it ends the workers."""

    def __init__(self, store: Store, lease: Lease, report: Report, limits: Limits) -> None:
        self._store = store
        self._lease = lease
        self._report = report
        self._limits = limits
        self.documents: dict[str, bytes] = {}
        self._documents_size = 0
        self._layers: dict[str, Future[Layer]] = {}
        self._links: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="corten-load")
        self._channels: list[Channel] = []

    def __enter__(self) -> "_Members":
        return self

    def __exit__(self, *_: object) -> None:
        for channel in self._channels:
            channel.end(ChannelClosed())
        self._pool.shutdown(cancel_futures=True)

    def read(self, archive: TarReader) -> None:
        """Reads the archive to its end. Layers may still be under way when this returns."""
        while (entry := archive.next_entry()) is not None:
            name = os.fsdecode(clean_name(entry.name))
            if entry.type == FILE and entry.size:
                self._take(name, entry, archive.payload())
            elif entry.type in (SYMLINK, HARD_LINK):
                base = posixpath.dirname(name) if entry.type == SYMLINK else ""
                self._links[name] = posixpath.normpath(posixpath.join(base, os.fsdecode(entry.link)))
        for _ in archive.drain():
            pass

    def document(self, name: str) -> bytes:
        try:
            return self.documents[self._links.get(name, name)]
        except KeyError:
            raise Invalid(f"the archive lacks {name}, which its manifest names", reason="bad-archive") from None

    def require(self, name: str, diff_id: DiffId, position: int) -> None:
        """Waits for the layer in member `name`. Raises Invalid unless it is the one with `diff_id`, or that is stored anyway."""
        member = self._layers.get(self._links.get(name, name))
        if member is None:
            if self._store.layers.hold(diff_id, self._lease) is None:
                raise Invalid(f"the archive lacks {name}, which its manifest names", reason="bad-archive")
            return
        found = member.result().diff_id
        if found != diff_id:
            raise Invalid(f'invalid diffID for layer {position}: expected "{diff_id}", got "{found}"', reason="digest-mismatch")

    def _take(self, name: str, entry: Entry, payload: Iterator[memoryview]) -> None:
        start, payload = _peek(payload)
        if start.lstrip()[:1] in (b"{", b"[") and entry.size <= _DOCUMENT_BYTES:
            self._keep_document(name, b"".join(payload))
            return
        packed = sniff(start) != "none"
        if packed or start == ZERO_BLOCK or (len(start) == BLOCK and checksum_holds(start)):
            self._take_layer(name, entry.size, payload, packed=packed)

    def _keep_document(self, name: str, data: bytes) -> None:
        self._documents_size += len(data)
        if self._documents_size > _ALL_DOCUMENTS_BYTES:
            raise Invalid("the archive's JSON documents are larger than 64 MiB together", reason="bad-archive")
        if (blob := _BLOB.fullmatch(name)) and sha256_digest(data) != f"sha256:{blob[1]}":
            raise Invalid(f"{name} does not have the digest that its name says", reason="digest-mismatch")
        self.documents[name] = data

    def _take_layer(self, name: str, size: int, payload: Iterator[memoryview], *, packed: bool) -> None:
        blob = _BLOB.fullmatch(name)
        digest = Digest(f"sha256:{blob[1]}") if blob else None
        hinted = blob or _PODMAN_LAYER.fullmatch(name)
        known = self._find_known(Digest(f"sha256:{hinted[1]}")) if hinted else None
        if known is not None:
            self._layers[name] = _done(known)
            return  # the reader skips the payload
        label = (hinted[1] if hinted else name.partition("/")[0])[:12]
        pieces = self._reported(payload, label, size)
        if packed:
            self._layers[name] = self._unpack_beside(pieces, digest, size)
        else:  # nothing to decompress: another thread would only pass the pieces on
            self._layers[name] = _done(self._unpack(pieces, digest, size))

    def _find_known(self, digest: Digest) -> Layer | None:
        diff_id = self._store.origins.layer_of(digest) or DiffId(digest)
        return self._store.layers.hold(diff_id, self._lease)

    def _reported(self, payload: Iterator[memoryview], label: str, size: int) -> Iterator[memoryview]:
        passed = 0
        for piece in payload:
            yield piece
            passed += len(piece)
            self._report(label, passed, size)

    def _unpack_beside(self, pieces: Iterator[Chunk], digest: Digest | None, size: int) -> "Future[Layer]":
        """Returns when all of the layer has been read; a worker may still be at it while the next one arrives."""
        channel = Channel(_CHANNEL_BYTES)
        self._channels.append(channel)

        def work() -> Layer:
            try:
                return self._unpack(channel, digest, size)
            finally:
                channel.close()

        member = self._pool.submit(work)
        try:
            for piece in pieces:
                channel.put(piece)
            channel.end()
        except ChannelClosed:
            member.result()  # raises what ended the worker
            raise
        return member

    def _unpack(self, source: Iterator[Chunk], digest: Digest | None, size: int) -> Layer:
        compression, chunks = sniffed(source)
        # The digest of a plain tar is its diff id, which `unpack_layer` works out anyway.
        checked = _Checked(chunks) if digest and compression != "none" else None
        layer = unpack_layer(self._store.layers, checked or chunks, lease=self._lease, limits=self._limits)
        found = checked.digest() if checked else Digest(layer.diff_id)
        if digest and found != digest:
            raise Invalid(f"a layer's blob has digest {found}, its name says {digest}", reason="digest-mismatch")
        if checked:
            self._store.origins.add_blob(LayerBlob(found, layer.diff_id, size, "", ""))
        return layer


def _done(layer: Layer) -> "Future[Layer]":
    future: Future[Layer] = Future()
    future.set_result(layer)
    return future


class _Checked:
    """Hashes a blob as it is read."""

    def __init__(self, source: Iterator[Chunk]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        chunk = next(self._source)
        self._hash.update(chunk)
        return chunk

    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")


def _peek(payload: Iterator[memoryview]) -> tuple[bytes, Iterator[memoryview]]:
    """The first block (less of a shorter member), and all of the payload again."""
    taken: list[memoryview] = []
    size = 0
    for piece in payload:
        taken.append(piece)
        size += len(piece)
        if size >= BLOCK:
            break
    return b"".join(part[:BLOCK] for part in taken)[:BLOCK], chain(taken, payload)
