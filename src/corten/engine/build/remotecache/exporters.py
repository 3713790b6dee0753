"""Cache exporters: an artifact at a registry or in a directory, whose config is BuildKit's cache manifest, or a part of the
image's own config. Base images' layers are no part of it: whoever builds has them.
"""

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec

from corten.build.remotecache import CacheRecord
from corten.engine.build.remotecache.config import CONFIG_TYPE, INLINE, NAME, UNCOMPRESSED, encode, encode_inline
from corten.engine.build.remotecache.options import CacheManifestForm
from corten.engine.transfer.compression import LayerCompression, oci_type
from corten.engine.transfer.outgoing import InMemory, LayerPush
from corten.errors import EngineError, Unavailable
from corten.ids import DiffId, Digest, ImageId
from corten.oci.digest import hex_of, sha256_digest
from corten.oci.image import ImageConfig
from corten.oci.manifest import MAX_MANIFEST_BYTES, OCI_INDEX, Descriptor, Index, Manifest, parse_manifest
from corten.oci.manifest import encode as encode_manifest
from corten.store.files import disk_error
from corten.store.images import Image
from corten.store.layertar.rebuild import layer_tar
from corten.store.opened import Store


def export_to_registry(push: LayerPush, tag: str, records: Sequence[CacheRecord], form: CacheManifestForm) -> Digest:
    """Blocks. Raises what the registry refuses."""
    layers = _layers(records)
    blobs = push.send(_holder(layers))
    found = {b.diff_id: Descriptor(media_type=oci_type(b.media_type), digest=b.digest, size=b.size) for b in blobs}
    config, manifest = _documents(records, layers, found, form)
    uploader = push.uploader()
    if not uploader.has(sha256_digest(config)):
        uploader.upload(sha256_digest(config), InMemory(config))
    uploader.put_manifest(tag, form.media_type, manifest)
    return sha256_digest(manifest)


class LocalCacheExporter:
    """An OCI layout on this machine, its files those of the folder's owner. What is there already is not written again."""

    def __init__(self, store: Store, path: str, gone: threading.Event, packing: LayerCompression) -> None:
        self._store = store
        self._path = path
        self._gone = gone
        self._packing = packing

    def write(self, tag: str, records: Sequence[CacheRecord], form: CacheManifestForm) -> None:
        """Blocks. What other tags name stays. Raises Unavailable for what the disk refuses."""
        try:
            os.makedirs(self._in("blobs/sha256"), exist_ok=True)
            layers = _layers(records)
            known = self._known()
            found = {diff_id: known.get(diff_id) or self._layer(diff_id) for diff_id in layers}
            config, manifest = _documents(records, layers, found, form)
            for raw in (config, manifest):
                self._put(f"blobs/sha256/{hex_of(sha256_digest(raw))}", raw)
            top = Descriptor(media_type=form.media_type, digest=sha256_digest(manifest), size=len(manifest), annotations={NAME: tag})
            others = [d for d in self._index() if (d.annotations or {}).get(NAME) != tag]
            self._put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            self._put("index.json", encode_manifest(Index(schema_version=2, media_type=OCI_INDEX, manifests=[*others, top])))
            self._give_away()
        except OSError as error:
            raise disk_error(error, f"writing the cache to {self._path}") from error

    def _index(self) -> list[Descriptor]:
        """What the folder's index lists, [] for none that can be read."""
        try:
            with open(self._in("index.json"), "rb") as file:
                index = parse_manifest(file.read(MAX_MANIFEST_BYTES))
        except (OSError, EngineError):
            return []
        return index.manifests if isinstance(index, Index) else []

    def _known(self) -> dict[DiffId, Descriptor]:
        """The layers that earlier exports have left whole."""
        found: dict[DiffId, Descriptor] = {}
        for top in self._index():
            try:
                with open(self._in(f"blobs/sha256/{hex_of(Digest(top.digest))}"), "rb") as file:
                    manifest = parse_manifest(file.read(MAX_MANIFEST_BYTES))
            except (OSError, EngineError):
                continue
            for layer in manifest.layers if isinstance(manifest, Manifest) else manifest.manifests:
                if (diff_id := (layer.annotations or {}).get(UNCOMPRESSED)) and self._packing.does(layer.media_type) and self._has(layer):
                    found[DiffId(diff_id)] = msgspec.structs.replace(layer, media_type=oci_type(layer.media_type), annotations=None)
        return found

    def _has(self, layer: Descriptor) -> bool:
        try:
            return os.stat(self._in(f"blobs/sha256/{hex_of(Digest(layer.digest))}"), follow_symlinks=False).st_size == layer.size
        except OSError:
            return False

    def _layer(self, diff_id: DiffId) -> Descriptor:
        total, size = hashlib.sha256(), 0
        part = self._in(f"blobs/sha256/{hex_of(diff_id)}.part")
        with _created(part) as file:
            for packed in self._packing.packed(layer_tar(self._store.layers.directory(diff_id))):
                if self._gone.is_set():
                    raise Unavailable("the build was cancelled", reason="cancelled")
                total.update(packed)
                size += file.write(packed)
        os.rename(part, self._in(f"blobs/sha256/{total.hexdigest()}"))
        return Descriptor(media_type=self._packing.media_type, digest=f"sha256:{total.hexdigest()}", size=size)

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


def with_inline_cache(config: bytes, records: Sequence[CacheRecord]) -> bytes:
    """The image's config with its own steps in it."""
    fields = msgspec.json.decode(config, type=dict[str, Any])
    return msgspec.json.encode({**fields, INLINE: encode_inline(records, fields["rootfs"]["diff_ids"] or ())})


def _layers(records: Sequence[CacheRecord]) -> list[DiffId]:
    return list(dict.fromkeys(record.layer for record in records if record.layer))


def _documents(
    records: Sequence[CacheRecord], layers: Sequence[DiffId], found: Mapping[DiffId, Descriptor], form: CacheManifestForm
) -> tuple[bytes, bytes]:
    """Config, and the manifest or index that names it."""
    config = encode(records, lambda diff_id: found[diff_id].digest)
    top = Descriptor(media_type=CONFIG_TYPE, digest=sha256_digest(config), size=len(config))
    named = [
        msgspec.structs.replace(found[d], media_type=form.layer_type(found[d].media_type), annotations={UNCOMPRESSED: d}) for d in layers
    ]
    if form.is_manifest:
        return config, encode_manifest(Manifest(schema_version=2, media_type=form.media_type, config=top, layers=named))
    return config, encode_manifest(Index(schema_version=2, media_type=form.media_type, manifests=[*named, top]))


def _holder(layers: Sequence[DiffId]) -> Image:
    """Layers as a push takes them: an image that nobody recorded."""
    return Image(ImageId(""), ImageConfig(), b"", tuple(layers), (), 0, "", 0, 0)
