"""`--dry-run`: what a prune or `rmi` would print, found out by doing all of it that is rows, and taking that back.

Kinds come in the order of `system prune`, and what went before counts for what follows: a container that would be gone holds neither its
image nor its volumes any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corten.engine.cleanup.prune.caches import CacheWhat
from corten.engine.cleanup.prune.options import Chosen, Manner, Pruned
from corten.engine.cleanup.prune.service import Prunes
from corten.engine.images.removal import How, PruneWhat, Removed
from corten.engine.images.removal import Pruned as PrunedImages
from corten.engine.rollback import rehearsal
from corten.errors import EngineError
from corten.ids import ContainerId
from corten.store.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """Which kinds a prune is of: a kind that is None or False is left out. `all_volumes`: named ones too."""

    chosen: Chosen
    manner: Manner
    containers: bool = False
    networks: bool = False
    volumes: bool = False
    all_volumes: bool = False
    images: PruneWhat | None = None
    caches: CacheWhat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    containers: Pruned | None = None
    networks: Pruned | None = None
    volumes: Pruned | None = None
    images: PrunedImages | None = None
    caches: Pruned | None = None


class Rehearsals:
    """Belongs to the event loop. Nothing is changed, nothing is told."""

    def __init__(self, db: Database, prunes: Prunes) -> None:
        self._db = db
        self._prunes = prunes

    async def prune(self, plan: PrunePlan) -> Rehearsed:
        prunes = self._prunes
        manner = replace(plan.manner, dry=True)
        containers = await prunes.containers.run(plan.chosen, manner) if plan.containers else None
        gone = frozenset(ContainerId(name) for name in containers.names) if containers else frozenset()
        manner = replace(manner, without=gone)
        networks = await prunes.networks.run(plan.chosen, manner) if plan.networks else None
        unaged = replace(plan.chosen, until=0)
        volumes = await prunes.volumes.run(unaged, manner, everything=plan.all_volumes) if plan.volumes else None
        mounts = await prunes.caches.mounts(plan.caches) if plan.caches else ()
        with rehearsal(self._db):
            for container in gone:
                self._db.execute("DELETE FROM snapshots WHERE key = ?", (container,))
            how = How(force_protected=manner.force_protected, without=gone)
            images = prunes.images.rehearse_prune(plan.images, how) if plan.images else None
            caches = prunes.caches.rehearse(plan.caches, mounts) if plan.caches else None
        return Rehearsed(containers=containers, networks=networks, volumes=volumes, images=images, caches=caches)

    def remove_images(self, names: Sequence[str], how: How) -> list[list[Removed] | EngineError]:
        """What `rmi` would answer for each of `names`, one after another."""
        answers: list[list[Removed] | EngineError] = []
        with rehearsal(self._db):
            for name in names:
                try:
                    answers.append(self._prunes.images.rehearse(name, how))
                except EngineError as error:
                    answers.append(error)
        return answers
