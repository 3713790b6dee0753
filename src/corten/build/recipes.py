"""What a build knows of its steps beside their files: which recipe made what, for caches that travel; and where such caches are asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from corten.build.draft import Draft
from corten.ids import DiffId
from corten.store.records.leases import Lease


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The recipe `key`, which goes on from `parent`, made `layer`, or no files. `name` is for people."""

    key: str
    parent: str
    layer: DiffId | None
    name: str


class CacheSource(Protocol):
    """Steps that were made elsewhere: at a registry, in a folder, in an image's history."""

    def find(self, key: str, draft: Draft, created_by: str, lease: Lease) -> tuple[DiffId | None] | None:
        """(layer,) of the step that goes on from `draft`, stored now and held by `lease`; None when it is not known. Blocks.

        `created_by` is its history line where that tells the whole of it, else "".
        """
        ...


def chain_of(records: Mapping[str, StepRecord], key: str) -> list[StepRecord]:
    """The records that lead to the recipe `key`, first ones first."""
    found: list[StepRecord] = []
    while (record := records.get(key)) is not None:
        found.append(record)
        key = record.parent
    return found[::-1]
