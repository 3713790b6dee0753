"""Remote caches (`--cache-to`, `--cache-from`) as a build sees them: records of its steps, and the interface that an imported cache has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from corten.build.imagestate import ImageState
from corten.ids import DiffId
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """The step of cache key `key`, on top of `parent`, made `layer`, or None for no files.

    `name` is for people, `created` the history's time.
    """

    key: str
    parent: str
    layer: DiffId | None
    name: str
    created: str = ""


class ImportedStep(NamedTuple):
    """What a step made elsewhere, and when (ns since the epoch), where that is known."""

    layer: DiffId | None
    created: int | None = None


class RemoteCache(Protocol):
    """Imported steps: from a registry, a folder, or an image's history."""

    def find(self, key: str, state: ImageState, created_by: str, lease: Lease) -> ImportedStep | None:
        """The step on top of `state`, its layer stored now and held by `lease`; None when it is not known. Blocks.

        `created_by` is its history line where that tells the whole of it, else "".
        """
        ...


def record_chain(records: Mapping[str, CacheRecord], key: str) -> list[CacheRecord]:
    """The records that lead to the cache key `key`, first ones first."""
    found: list[CacheRecord] = []
    while (record := records.get(key)) is not None:
        found.append(record)
        key = record.parent
    return found[::-1]
