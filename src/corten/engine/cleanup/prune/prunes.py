"""`--dry-run`: what a prune or `rmi` would print, found out by doing all of it that is rows, and taking that back.

Kinds come in the order of `system prune`, and what went before counts for what follows: a container that would be gone holds neither its
image nor its volumes any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corten.engine.cleanup.prune.caches import CachePrune, CachePruneFilter
from corten.engine.cleanup.prune.containers import ContainerPrune
from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.options import PruneFilter, PruneOptions, PruneReport
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.dry_run import dry_run
from corten.engine.images.removal import ImageDeleteItem, ImagePruneFilter, ImagePruneReport, ImageRemoval, RemoveOptions
from corten.errors import EngineError
from corten.ids import ContainerId
from corten.store.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """Which kinds a prune is of: a kind that is None or False is left out. `all_volumes`: named ones too."""

    filter: PruneFilter
    options: PruneOptions
    containers: bool = False
    networks: bool = False
    volumes: bool = False
    all_volumes: bool = False
    images: ImagePruneFilter | None = None
    caches: CachePruneFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunReport:
    containers: PruneReport | None = None
    networks: PruneReport | None = None
    volumes: PruneReport | None = None
    images: ImagePruneReport | None = None
    caches: PruneReport | None = None


class Prunes:
    """Every prune. Belongs to the event loop. A dry run changes nothing and publishes no event."""

    def __init__(
        self,
        db: Database,
        *,
        containers: ContainerPrune,
        networks: NetworkPrune,
        volumes: VolumePrune,
        images: ImageRemoval,
        caches: CachePrune,
    ) -> None:
        self._db = db
        self.containers = containers
        self.networks = networks
        self.volumes = volumes
        self.images = images
        self.caches = caches

    async def dry_run(self, plan: PrunePlan) -> DryRunReport:
        options = replace(plan.options, dry=True)
        containers = await self.containers.run(plan.filter, options) if plan.containers else None
        gone = frozenset(ContainerId(name) for name in containers.names) if containers else frozenset()
        options = replace(options, without=gone)
        networks = await self.networks.run(plan.filter, options) if plan.networks else None
        unaged = replace(plan.filter, until=0)
        volumes = await self.volumes.run(unaged, options, everything=plan.all_volumes) if plan.volumes else None
        mounts = await self.caches.mounts(plan.caches) if plan.caches else ()
        with dry_run(self._db):
            for container in gone:
                self._db.execute("DELETE FROM snapshots WHERE key = ?", (container,))
            how = RemoveOptions(force_protected=options.force_protected, without=gone)
            images = self.images.dry_run_prune(plan.images, how) if plan.images else None
            caches = self.caches.dry_run(plan.caches, mounts) if plan.caches else None
        return DryRunReport(containers=containers, networks=networks, volumes=volumes, images=images, caches=caches)

    def dry_run_removal(self, names: Sequence[str], how: RemoveOptions) -> list[list[ImageDeleteItem] | EngineError]:
        """What `rmi` would answer for each of `names`, one after another."""
        answers: list[list[ImageDeleteItem] | EngineError] = []
        with dry_run(self._db):
            for name in names:
                try:
                    answers.append(self.images.dry_run(name, how))
                except EngineError as error:
                    answers.append(error)
        return answers
