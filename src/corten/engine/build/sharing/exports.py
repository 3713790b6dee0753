"""Caches that a build writes: an artifact at a registry or in a folder, whose config is BuildKit's cache manifest, or a part of the
image's own config. Base images' layers are no part of it: whoever builds has them.
"""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Final

import msgspec
from isal import isal_zlib

from corten.build.recipes import StepRecord
from corten.engine.build.sharing.config import CONFIG_TYPE, INLINE, UNCOMPRESSED, encode, encode_inline
from corten.engine.transfer.outgoing import InMemory, LayerPush
from corten.errors import EngineError, Unavailable
from corten.ids import DiffId, Digest, ImageId
from corten.oci.digest import hex_of, sha256_digest
from corten.oci.image import ImageConfig
from corten.oci.manifest import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Index, Manifest, parse_manifest
from corten.oci.manifest import encode as encode_manifest
from corten.store.files import disk_error
from corten.store.images import Image
from corten.store.layertar.rebuild import layer_tar
from corten.store.opened import Store

LEVEL: Final = 2
_GZIP: Final = 31
_GZIPPED: Final = f"{OCI_LAYER}+gzip"


def to_registry(push: LayerPush, tag: str, records: Sequence[StepRecord]) -> Digest:
    """Blocks. Raises what the registry refuses."""
    layers = _layers(records)
    blobs = push.send(_holder(layers))
    found = {b.diff_id: Descriptor(media_type=_GZIPPED, digest=b.digest, size=b.size) for b in blobs}
    config, manifest = _documents(records, layers, found)
    uploader = push.uploader()
    if not uploader.has(sha256_digest(config)):
        uploader.upload(sha256_digest(config), InMemory(config))
    uploader.put_manifest(tag, OCI_MANIFEST, manifest)
    return sha256_digest(manifest)


class FolderCache:
    """An OCI layout on this machine, its files those of the folder's owner. What is there already is not written again."""

    def __init__(self, store: Store, path: str, gone: threading.Event) -> None:
        self._store = store
        self._path = path
        self._gone = gone

    def write(self, records: Sequence[StepRecord]) -> None:
        """Blocks. Raises Unavailable for what the disk refuses."""
        try:
            os.makedirs(self._in("blobs/sha256"), exist_ok=True)
            layers = _layers(records)
            known = self._known()
            found = {diff_id: known.get(diff_id) or self._layer(diff_id) for diff_id in layers}
            config, manifest = _documents(records, layers, found)
            for raw in (config, manifest):
                self._put(f"blobs/sha256/{hex_of(sha256_digest(raw))}", raw)
            notes = {"org.opencontainers.image.ref.name": "latest"}
            top = Descriptor(media_type=OCI_MANIFEST, digest=sha256_digest(manifest), size=len(manifest), annotations=notes)
            self._put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            self._put("index.json", encode_manifest(Index(schema_version=2, media_type=OCI_INDEX, manifests=[top])))
            self._give_away()
        except OSError as error:
            raise disk_error(error, f"writing the cache to {self._path}") from error

    def _known(self) -> dict[DiffId, Descriptor]:
        """The layers that an earlier export has left whole."""
        try:
            with open(self._in("index.json"), "rb") as file:
                digest = json.load(file)["manifests"][-1]["digest"]
            with open(self._in(f"blobs/sha256/{hex_of(digest)}"), "rb") as file:
                manifest = parse_manifest(file.read())
        except (OSError, ValueError, KeyError, IndexError, TypeError, EngineError):
            return {}
        layers = manifest.layers if isinstance(manifest, Manifest) else []
        return {DiffId((d.annotations or {}).get(UNCOMPRESSED, "")): msgspec.structs.replace(d, annotations=None)
                for d in layers if self._has(d)}  # fmt: skip

    def _has(self, layer: Descriptor) -> bool:
        try:
            return os.stat(self._in(f"blobs/sha256/{hex_of(Digest(layer.digest))}"), follow_symlinks=False).st_size == layer.size
        except OSError:
            return False

    def _layer(self, diff_id: DiffId) -> Descriptor:
        total, size = hashlib.sha256(), 0
        packer = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _GZIP)
        part = self._in(f"blobs/sha256/{hex_of(diff_id)}.part")
        with _created(part) as file:
            for piece in layer_tar(self._store.layers.directory(diff_id)):
                if self._gone.is_set():
                    raise Unavailable("the build was cancelled", reason="cancelled")
                packed = packer.compress(piece)
                total.update(packed)
                size += file.write(packed)
            packed = packer.flush()
            total.update(packed)
            size += file.write(packed)
        os.rename(part, self._in(f"blobs/sha256/{total.hexdigest()}"))
        return Descriptor(media_type=_GZIPPED, digest=f"sha256:{total.hexdigest()}", size=size)

    def _put(self, name: str, content: bytes) -> None:
        part = self._in(f"{name}.part")
        with _created(part) as file:
            file.write(content)
        os.rename(part, self._in(name))

    def _give_away(self) -> None:
        owner = os.stat(self._path)
        for where, folders, names in os.walk(self._path):
            for name in (*folders, *names):
                os.chown(os.path.join(where, name), owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _in(self, name: str) -> str:
        return os.path.join(self._path, name)


def _created(path: str) -> BinaryIO:
    """A file of our own making, whatever lay there."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    return open(path, "xb")


def with_inline_cache(config: bytes, records: Sequence[StepRecord]) -> bytes:
    """The image's config with its own steps in it."""
    fields = msgspec.json.decode(config, type=dict[str, Any])
    return msgspec.json.encode({**fields, INLINE: encode_inline(records, fields["rootfs"]["diff_ids"] or ())})


def _layers(records: Sequence[StepRecord]) -> list[DiffId]:
    return list(dict.fromkeys(record.layer for record in records if record.layer))


def _documents(records: Sequence[StepRecord], layers: Sequence[DiffId], found: dict[DiffId, Descriptor]) -> tuple[bytes, bytes]:
    """Config and manifest."""
    config = encode(records, lambda diff_id: found[diff_id].digest)
    top = Descriptor(media_type=CONFIG_TYPE, digest=sha256_digest(config), size=len(config))
    named = [msgspec.structs.replace(found[d], annotations={UNCOMPRESSED: d}) for d in layers]
    return config, encode_manifest(Manifest(schema_version=2, media_type=OCI_MANIFEST, config=top, layers=named))


def _holder(layers: Sequence[DiffId]) -> Image:
    """Layers as a push takes them: an image that nobody recorded."""
    return Image(ImageId(""), ImageConfig(), b"", tuple(layers), (), 0, "", 0, 0)
