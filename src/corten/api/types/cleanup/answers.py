"""Bodies and answers of prune, and of what Corten adds to it: the trash, dry runs, protection. Members that begin with Corten are ours.

`CortenTrashed`: so much of the reclaimed space is in the trash, and comes back when the disk needs it or the entries expire.
"""

from msgspec import UNSET, UnsetType

from corten.api.types.images import DeletedItem
from corten.api.wire import AnswerStruct, Int64, WireStruct


class KeptItem(AnswerStruct, frozen=True, kw_only=True):
    """What would have gone, and why it stays."""

    name: str
    why: str


Kept = list[KeptItem] | UnsetType


class ContainersPruned(AnswerStruct, frozen=True, kw_only=True):
    containers_deleted: list[str] | None
    space_reclaimed: int
    corten_kept: Kept = UNSET


class ImagesPruned(AnswerStruct, frozen=True, kw_only=True):
    images_deleted: list[DeletedItem] | None
    space_reclaimed: int
    corten_trashed: int | UnsetType = UNSET
    corten_kept: Kept = UNSET


class VolumesPruned(AnswerStruct, frozen=True, kw_only=True):
    volumes_deleted: list[str]
    space_reclaimed: int
    corten_trashed: int | UnsetType = UNSET
    corten_kept: Kept = UNSET


class NetworksPruned(AnswerStruct, frozen=True, kw_only=True):
    networks_deleted: list[str] | None
    corten_kept: Kept = UNSET


class CachesPruned(AnswerStruct, frozen=True, kw_only=True):
    caches_deleted: list[str] | None
    space_reclaimed: int


class DryRunPrune(WireStruct, frozen=True, kw_only=True):
    """`kinds`: container, network, volume, image, build-cache. `filters` as in the prune calls, one object for all kinds."""

    kinds: list[str] | None = None
    filters: dict[str, list[str]] | None = None
    all: bool | None = None
    all_volumes: bool | None = None
    keep_models: bool | None = None
    force_protected: bool | None = None
    keep_storage: Int64 | None = None


class DryRunAnswer(AnswerStruct, frozen=True, kw_only=True):
    """The answers that the prune calls would give; null for kinds that were not asked for."""

    containers: ContainersPruned | None
    networks: NetworksPruned | None
    volumes: VolumesPruned | None
    images: ImagesPruned | None
    build_cache: CachesPruned | None


class DryRunRemoval(WireStruct, frozen=True, kw_only=True):
    images: list[str] | None = None
    force: bool | None = None
    no_prune: bool | None = None
    force_protected: bool | None = None


class DryRunRemovalAnswer(AnswerStruct, frozen=True, kw_only=True):
    """Of one image: what would be removed, or the error that would be answered."""

    removed: list[DeletedItem] | None
    message: str = ""
    status: int = 200


class TrashItem(AnswerStruct, frozen=True, kw_only=True):
    """`size` is in bytes; moments are RFC 3339. `names`: an image's names."""

    id: str
    kind: str
    name: str
    names: list[str]
    size: int
    removed: str
    expires: str


class TrashRestored(AnswerStruct, frozen=True, kw_only=True):
    kind: str
    names: list[str]


class EmptyTrash(WireStruct, frozen=True, kw_only=True):
    """No `ids`: everything."""

    ids: list[str] | None = None


class TrashEmptied(AnswerStruct, frozen=True, kw_only=True):
    deleted: list[str]
    space_reclaimed: int


class VolumeProtection(AnswerStruct, frozen=True, kw_only=True):
    """`models` says what weights the volume holds, "" = none, and `model_bytes` their size. `last_used`: RFC 3339, "" = never."""

    protected: bool
    models: str
    model_bytes: int
    last_used: str


class ImageUse(AnswerStruct, frozen=True, kw_only=True):
    """`last_used`: RFC 3339, "" = never."""

    last_used: str


class GcRequest(WireStruct, frozen=True, kw_only=True):
    """`low` and `keep` hold in place of the daemon's marks: `70%` or `400GB`, `14d`."""

    dry_run: bool | None = None
    low: str | None = None
    keep: str | None = None


class GcMarksAnswer(AnswerStruct, frozen=True, kw_only=True):
    """As people write them; `keep` "" = not set."""

    high: str
    low: str
    trash: str
    keep: str
    pin: list[str]


class GcVerdict(AnswerStruct, frozen=True, kw_only=True):
    """`kind`: trash, build-cache or image. `size` in bytes; `last_used` is RFC 3339, "" = never (of the trash: when it was removed)."""

    kind: str
    id: str
    name: str
    size: int
    last_used: str
    why: str


class GcAnswer(AnswerStruct, frozen=True, kw_only=True):
    """`used`, `total`: the disk, before; `wanted`: bytes above the threshold `low`; `reclaimed`: what came back, or would."""

    dry_run: bool
    used: int
    total: int
    wanted: int
    marks: GcMarksAnswer
    going: list[GcVerdict]
    staying: list[GcVerdict]
    reclaimed: int
