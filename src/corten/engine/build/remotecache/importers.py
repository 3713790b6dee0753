"""Cache importers: from a registry, a directory, an image of the store. A layer is fetched when a step needs it.

What cannot be read is the error of a vertex; the build goes on without it.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from corten.build.dates import parse_time
from corten.build.events import Emit
from corten.build.imagestate import ImageState
from corten.build.remotecache import ImportedStep
from corten.engine.build.remotecache.config import CONFIG_TYPE, INLINE, LARGEST, NAME, UNCOMPRESSED, Steps, decode, decode_inline
from corten.engine.build.vertices import InternalVertices
from corten.engine.transfer.layers import LayerPull, RemoteLayer
from corten.engine.transfer.partial_pulls import keeper_of
from corten.errors import EngineError, Invalid, NotFound
from corten.ids import DiffId, Digest, short_id
from corten.oci.digest import hex_of, parse_digest, sha256_digest
from corten.oci.image import parse_image_config
from corten.oci.manifest import OCI_MANIFEST, Descriptor, Index, Manifest, parse_manifest
from corten.oci.platform import host_platform, preference
from corten.registry.client import Repository
from corten.store.files import disk_error
from corten.store.images import Image
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store
from corten.store.records.leases import Lease

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CachedLayers:
    """What a cache holds: the steps, by layer its location."""

    steps: Steps
    layers: Mapping[str, RemoteLayer]


class ImportedCache:
    """`corten.build.remotecache.RemoteCache` of a cache whose layers `bring` stores one at a time."""

    def __init__(self, store: Store, cached: CachedLayers, emit: Emit, bring: Callable[[RemoteLayer, Lease], None]) -> None:
        self._store = store
        self._cached = cached
        self._emit = emit
        self._bring = bring

    def find(self, key: str, state: ImageState, created_by: str, lease: Lease) -> ImportedStep | None:
        known = self._cached.steps.get(key)
        if known is None:
            return None
        if not known.layer:
            return ImportedStep(None, known.created)
        layer = self._cached.layers[known.layer]
        if self._store.layers.hold(layer.diff_id, lease) is not None:
            return ImportedStep(layer.diff_id, known.created)
        try:
            with InternalVertices(self._emit, f"import-{key[:12]}").step(
                f"importing cached layer {short_id(layer.digest)}", internal=False
            ):
                self._bring(layer, lease)
                self._store.layers.keeps.let_go(keeper_of(layer.diff_id))  # the step's row keeps it, no pull is to go on
        except EngineError:  # told as the step's
            return None
        return ImportedStep(layer.diff_id, known.created)


class ImageHistory:
    """`corten.build.remotecache.RemoteCache` of an image here: the classic builder's `cachefrom`.

    A RUN is taken from it when all that came before is the same, layer for layer and line for line.
    """

    def __init__(self, store: Store, image: Image) -> None:
        self._store = store
        self._image = image
        self._steps = _inline(image.raw)

    def find(self, key: str, state: ImageState, created_by: str, lease: Lease) -> ImportedStep | None:
        if (known := self._steps.get(key)) is not None:
            found = DiffId(known.layer) if known.layer in self._image.layers else None
            return self._held(found, known.created, lease) if known.layer else ImportedStep(None, known.created)
        lines = self._image.config.history or []
        count = len(state.history)
        if not created_by or len(lines) <= count or lines[count].created_by != created_by:
            return None
        if self._image.layers[: len(state.layers)] != state.layers or not _same(lines[:count], state):
            return None
        created = parse_time(lines[count].created or "")
        if lines[count].empty_layer:
            return ImportedStep(None, created)
        layer = self._image.layers[len(state.layers)] if len(self._image.layers) > len(state.layers) else None
        return self._held(layer, created, lease)

    def _held(self, layer: DiffId | None, created: int | None, lease: Lease) -> ImportedStep | None:
        return ImportedStep(layer, created) if layer and self._store.layers.hold(layer, lease) is not None else None


class CombinedCaches:
    """Asked one after the other."""

    def __init__(self, sources: Sequence[Any]) -> None:
        self._sources = sources

    def find(self, key: str, state: ImageState, created_by: str, lease: Lease) -> ImportedStep | None:
        found = (source.find(key, state, created_by, lease) for source in self._sources)
        return next((answer for answer in found if answer is not None), None)


def read_registry(repository: Repository, reference: str, full_name: str) -> CachedLayers:
    """A cache of its own, or the one inside an image. Blocks. Raises NotFound, Invalid, Unavailable, Unauthenticated."""
    top = repository.manifest(reference)
    parsed = parse_manifest(top.raw, top.media_type)
    parsed = _as_manifest(parsed)
    if isinstance(parsed, Index):
        inner = repository.manifest(_of_platform(parsed))
        parsed = parse_manifest(inner.raw, inner.media_type)
    if isinstance(parsed, Index):
        raise Invalid("an index inside an index is not a cache manifest", reason="bad-cache")
    if parsed.config.size > LARGEST:
        raise Invalid(f"the cache manifest has {parsed.config.size} bytes: the limit is {LARGEST}", reason="bad-cache")
    return read_manifest(parsed, repository.blob(Digest(parsed.config.digest), parsed.config.size), full_name)


def _as_manifest(parsed: Manifest | Index) -> Manifest | Index:
    """A cache that was written as an index of layers and config (`image-manifest=false`), as the manifest that it would be."""
    if isinstance(parsed, Manifest):
        return parsed
    configs = [d for d in parsed.manifests if d.media_type == CONFIG_TYPE]
    if not configs:
        return parsed
    layers = [d for d in parsed.manifests if d.media_type != CONFIG_TYPE]
    return Manifest(schema_version=2, media_type=OCI_MANIFEST, config=configs[0], layers=layers)


def read_manifest(manifest: Manifest, config: bytes, repository: str) -> CachedLayers:
    """Raises Invalid where manifest and config do not fit."""
    if manifest.config.media_type == CONFIG_TYPE:
        layers = {d.digest: RemoteLayer.of(d, _diff_id(d.annotations), repository) for d in manifest.layers}
        steps = decode(config)
    else:
        diff_ids = parse_image_config(config).layers
        if len(diff_ids) != len(manifest.layers):
            raise Invalid("manifest and config of the image do not fit", reason="bad-cache")
        layers = {i: RemoteLayer.of(d, i, repository) for d, i in zip(manifest.layers, diff_ids, strict=True)}
        steps = _inline(config)
        if not steps:
            raise NotFound("the image holds no cache", reason="no-cache-inside", hint="it is written with --cache-to type=inline")
    if lost := next((known.layer for known in steps.values() if known.layer and known.layer not in layers), ""):
        raise Invalid(f"the cache names layer {lost}, which its manifest has not", reason="bad-cache")
    return CachedLayers(steps, layers)


class LocalCacheImporter:
    """A cache in an OCI layout on this machine. Links are not followed, and nothing is believed that its digest does not say."""

    def __init__(self, path: str, *, tag: str, digest: str) -> None:
        """`digest` names the manifest, "" takes the one that is tagged `tag`."""
        self._path = path
        self._tag = tag
        self._digest = digest

    def read(self) -> CachedLayers:
        """Blocks. Raises NotFound, Invalid."""
        index = parse_manifest(self._whole("index.json", LARGEST))
        if not isinstance(index, Index) or not index.manifests:
            raise Invalid(f"{self._path}/index.json lists no cache", reason="bad-cache")
        top = self._chosen(index)
        manifest = _as_manifest(parse_manifest(self._blob(top.digest, top.size)))
        if isinstance(manifest, Index):
            raise Invalid("an index inside an index is not a cache manifest", reason="bad-cache")
        return read_manifest(manifest, self._blob(manifest.config.digest, manifest.config.size), "")

    def _chosen(self, index: Index) -> Descriptor:
        if self._digest:
            fitting = [d for d in index.manifests if d.digest == self._digest]
        else:
            fitting = [d for d in index.manifests if (d.annotations or {}).get(NAME) == self._tag]
        if not fitting:
            hint = "--cache-from type=local takes tag= and digest="
            raise NotFound(f"{self._path} holds no cache {self._digest or self._tag}", reason="no-cache", hint=hint)
        return fitting[-1]

    def bring(self, store: Store, layer: RemoteLayer, lease: Lease) -> None:
        """Blocks. Raises NotFound, Invalid."""
        with self._opened(_blob_path(layer.digest)) as file:
            unpack_layer(store.layers, iter(lambda: file.read(_PIECE), b""), lease=lease, expected=layer.diff_id)

    def _blob(self, digest: str, size: int) -> bytes:
        if size > LARGEST:
            raise Invalid(f"{digest} of the cache has {size} bytes: the limit is {LARGEST}", reason="bad-cache")
        raw = self._whole(_blob_path(digest), size)
        if sha256_digest(raw) != digest:
            raise Invalid(f"{digest} of the cache in {self._path} has other content", reason="wrong-digest")
        return raw

    def _whole(self, name: str, limit: int) -> bytes:
        with self._opened(name) as file:
            content: bytes = file.read(limit + 1)
            return content

    def _opened(self, name: str) -> Any:
        path = os.path.join(self._path, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"{path}: no such file", reason="no-cache", hint="is that folder a cache?") from None
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror}", reason="bad-cache") from disk_error(error, "reading a cache")
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Invalid(f"{path} is not a regular file", reason="bad-cache")
        return os.fdopen(fd, "rb")


def layer_puller(pull: LayerPull, repository: Repository) -> Callable[[RemoteLayer, Lease], None]:
    return lambda layer, lease: pull.bring(repository, [layer], lease)


def _blob_path(digest: str) -> str:
    return f"blobs/sha256/{hex_of(Digest(digest))}"


def _of_platform(index: Index) -> str:
    fitting = [
        (distance, n)
        for n, d in enumerate(index.manifests)
        if d.platform and not d.is_attestation and (distance := preference(host_platform(), d.platform.normalised())) is not None
    ]
    if not fitting:
        raise NotFound("the index lists no image for this platform", reason="no-such-platform")
    return index.manifests[min(fitting)[1]].digest


def _diff_id(annotations: dict[str, str] | None) -> DiffId:
    return DiffId(parse_digest((annotations or {}).get(UNCOMPRESSED, "")))


def _inline(config: bytes) -> Steps:
    """The cache inside an image's config; {} for none, or for one of BuildKit's, whose keys are others."""
    try:
        fields = msgspec.json.decode(config, type=dict[str, Any])
        inline = fields.get(INLINE)
        return decode_inline(msgspec.convert(inline, bytes), fields["rootfs"]["diff_ids"]) if inline else {}
    except (msgspec.DecodeError, RecursionError, Invalid, KeyError, TypeError):
        return {}


def _same(lines: Sequence[Any], state: ImageState) -> bool:
    ours: Iterator[tuple[str, bool]] = ((h.created_by, h.empty_layer) for h in state.history)
    return [(h.created_by, h.empty_layer) for h in lines] == list(ours)
