"""What pulls that did not end have left: parts of blobs, and layers that no image has yet. The next pull goes on from them.

They go by themselves after KEPT_SECONDS, with `image prune` once nobody went on with them for IDLE_SECONDS, and with `image prune -a` at
once. What a pull is using now always stays.
"""

import asyncio
import logging
import time
from typing import Final

from corten.engine.images.removal import ImagePruneFilter
from corten.engine.transfer.singleflight import InFlight
from corten.errors import EngineError
from corten.ids import DiffId
from corten.registry.partial import Partials
from corten.store.opened import Store

logger = logging.getLogger("corten.engine")
KEPT_SECONDS: Final = 14 * 86400
IDLE_SECONDS: Final = 3600
INTERVAL: Final = 3600.0
KEEPER: Final = "pull:"
_ONLY_OURS: Final = """
SELECT sum(l.size) FROM layers l WHERE l.added < ? AND l.diff_id IN (
  SELECT diff_id FROM keeps WHERE substr(keeper, 1, 5) = 'pull:' EXCEPT SELECT diff_id FROM keeps WHERE substr(keeper, 1, 5) != 'pull:'
  EXCEPT SELECT j.value FROM images i, json_each(i.layers) j EXCEPT SELECT j.value FROM snapshots s, json_each(s.layers) j
)
"""


def keeper_of(diff_id: DiffId) -> str:
    """Who holds a layer that a pull has brought until its image is recorded."""
    return f"{KEEPER}{diff_id}"


class PartialPulls:
    """Thread-safe; every call takes milliseconds, but `clear` removes files."""

    def __init__(self, store: Store, partials: Partials, in_flight: InFlight) -> None:
        self._store = store
        self._partials = partials
        self._in_flight = in_flight

    def total(self) -> int:
        """Bytes of all that no pull is using now."""
        return self._size(0)

    def size(self, what: ImagePruneFilter) -> int:
        """What `prune` would give back."""
        idle = _idle(what)
        return 0 if idle is None else self._size(idle)

    def _size(self, idle: float) -> int:
        row = self._store.db.query_one(_ONLY_OURS, (_before(idle),))
        return self._partials.size_older(idle, spare=self._in_flight.names()) + int((row and row[0]) or 0)

    async def prune(self, what: ImagePruneFilter) -> int:
        """The part of an `image prune` that is about leftovers; the bytes that came back."""
        idle = _idle(what)
        return 0 if idle is None else await asyncio.to_thread(self.clear, idle)

    def clear(self, idle: float) -> int:
        """Drops what nobody went on with for `idle` seconds; the bytes that gives back."""
        self._store.layers.keeps.let_go_older(KEEPER, _before(idle))
        freed = sum(layer.size for layer in self._store.layers.collect())
        return freed + self._partials.forget_older(idle, spare=self._in_flight.names())

    async def expire(self) -> None:
        """Drops what is too old, now and then, for ever."""
        while True:
            try:
                freed = await asyncio.to_thread(self.clear, KEPT_SECONDS)
            except (EngineError, OSError) as error:
                logger.warning("removing partial pulls failed: %s", error)
            else:
                if freed:
                    logger.info("removed partial pulls older than %d days: %d bytes reclaimed", KEPT_SECONDS // 86400, freed)
            await asyncio.sleep(INTERVAL)


def _idle(what: ImagePruneFilter) -> float | None:
    """For how long nobody may have gone on with what goes. None: labels were asked for, which leftovers do not have."""
    if what.labels or what.not_labels:
        return None
    if what.until:
        return max(0.0, time.time() - what.until / 1e9)
    return IDLE_SECONDS if what.dangling_only else 0


def _before(idle: float) -> int:
    return time.time_ns() - int(idle * 1e9)
