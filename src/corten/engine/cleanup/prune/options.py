"""What a prune is asked for, and what it did."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from corten.engine.filters import has_labels
from corten.ids import ContainerId

PROTECTED = "protected"
MODELS = "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneFilter:
    """Docker's filters. `until`: ns since the epoch, 0 = of any age."""

    until: int = 0
    labels: Collection[str] = ()
    not_labels: Collection[str] = ()

    def wants(self, labels: Mapping[str, str], created: int = 0) -> bool:
        """Docker's rules: older than `until`; all of `labels`; not all of `not_labels`."""
        if self.until and created >= self.until:
            return False
        return has_labels(labels, self.labels) and not (self.not_labels and has_labels(labels, self.not_labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions:
    """`dry`: only say what would go. `without`: containers that count as removed. `spare_models`: volumes that hold models stay."""

    dry: bool = False
    force_protected: bool = False
    spare_models: bool = False
    without: frozenset[ContainerId] = frozenset()


@dataclass(frozen=True, slots=True)
class KeptObject:
    """Something that would have gone, and why it stays: PROTECTED, or what models it holds."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class PruneReport:
    """Ids or names of what went, the bytes that it held, and what stayed although nobody uses it."""

    names: tuple[str, ...] = ()
    reclaimed: int = 0
    kept: tuple[KeptObject, ...] = ()
