"""BuildKit's cache manifest: which recipe made which layer, as JSON.

    records[n]  digest = "sha256:" + a step's key, inputs = the record below it, layers = an index into the layers
    layers[n]   blob = the layer's digest, parent = an index into layers, -1 for none

The form is BuildKit's (`application/vnd.buildkit.cacheconfig.v0`). In an image's config (`moby.buildkit.cache.v0`) stand the records
alone, and the layers are the image's. The keys are ours, so that only a Corten finds steps that a Corten made. A record with `empty`
says that its step made no files, `created` when; a result says when its layer was made. What comes from elsewhere is hostile: every
index and digest is checked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from corten.build.dates import parse_time
from corten.build.remotecache import CacheRecord
from corten.errors import Invalid
from corten.ids import DiffId
from corten.oci.digest import parse_digest

CONFIG_TYPE: Final = "application/vnd.buildkit.cacheconfig.v0"
INLINE: Final = "moby.buildkit.cache.v0"
UNCOMPRESSED: Final = "containerd.io/uncompressed"
NAME: Final = "org.opencontainers.image.ref.name"
"""The annotation that holds a tag in a layout's index."""
LARGEST: Final = 16 << 20


class KnownStep(NamedTuple):
    """The digest of the layer that a step made, "" for no files; and when, in ns since the epoch."""

    layer: str
    created: int | None = None


Steps = Mapping[str, KnownStep]
"""By step key."""


class _Result(msgspec.Struct, frozen=True, omit_defaults=True, rename={"created": "createdAt"}):
    layer: int = -1
    created: str = ""


class _Link(msgspec.Struct, frozen=True):
    link: int = 0
    selector: str = ""


class _Record(msgspec.Struct, frozen=True, omit_defaults=True, rename={"results": "layers"}):
    digest: str = ""
    inputs: list[list[_Link]] | None = None
    results: list[_Result] | None = None
    empty: bool = False
    created: str = ""


class _Layer(msgspec.Struct, frozen=True):
    blob: str
    parent: int = -1


class _Config(msgspec.Struct, frozen=True):
    layers: list[_Layer] | None = None
    records: list[_Record] | None = None


def encode(records: Sequence[CacheRecord], name: Callable[[DiffId], str]) -> bytes:
    """`name` gives the digest under which a layer is stored: its blob's, or the diff id itself."""
    layers: list[_Layer] = []
    numbers = dict[tuple[str, int], int]()
    tops = dict[str, int]()
    made: list[_Record] = []
    positions = {record.key: n for n, record in enumerate(records)}
    for record in records:
        below = tops.get(record.parent, -1)
        inputs = [[_Link(positions[record.parent])]] if record.parent in positions else None
        if record.layer is None:
            tops[record.key] = below
            made.append(_Record(f"sha256:{record.key}", inputs, empty=True, created=record.created))
            continue
        place = (name(record.layer), below)
        if place not in numbers:
            numbers[place] = len(layers)
            layers.append(_Layer(*place))
        tops[record.key] = numbers[place]
        made.append(_Record(f"sha256:{record.key}", inputs, [_Result(numbers[place], record.created)]))
    return msgspec.json.encode(_Config(layers, made))


def encode_inline(records: Sequence[CacheRecord], layers: Sequence[str]) -> bytes:
    """Of an image with these `layers`, the last of which the records made in their order."""
    positions = {record.key: n for n, record in enumerate(records)}
    number = len(layers) - sum(record.layer is not None for record in records)
    made: list[_Record] = []
    for record in records:
        inputs = [[_Link(positions[record.parent])]] if record.parent in positions else None
        if record.layer is None:
            made.append(_Record(f"sha256:{record.key}", inputs, empty=True, created=record.created))
            continue
        made.append(_Record(f"sha256:{record.key}", inputs, [_Result(number, record.created)]))
        number += 1
    return msgspec.json.encode(made)


def decode_inline(raw: bytes, layers: Sequence[str]) -> Steps:
    """As `decode`, of an image with these `layers`."""
    try:
        records = msgspec.json.decode(raw, type=list[_Record])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"the image's cache is malformed: {error}", reason="bad-cache") from error
    return _table(records, layers)


def decode(raw: bytes) -> Steps:
    """Raises Invalid for what is no cache manifest."""
    if len(raw) > LARGEST:
        raise Invalid(f"the cache manifest has {len(raw)} bytes: the limit is {LARGEST}", reason="bad-cache")
    try:
        config = msgspec.json.decode(raw, type=_Config)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"the cache manifest is malformed: {error}", reason="bad-cache") from error
    return _table(config.records or (), [layer.blob for layer in config.layers or ()])


def _table(records: Iterable[_Record], layers: Sequence[str]) -> Steps:
    found: dict[str, KnownStep] = {}
    for record in records:
        key = parse_digest(record.digest).removeprefix("sha256:")
        if record.empty:
            found[key] = KnownStep("", parse_time(record.created))
        for result in (record.results or ())[:1]:
            if not 0 <= result.layer < len(layers):
                raise Invalid(f"the cache manifest names layer {result.layer} of {len(layers)}", reason="bad-cache")
            found[key] = KnownStep(parse_digest(layers[result.layer]), parse_time(result.created))
    return found
