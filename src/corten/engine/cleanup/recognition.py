"""Which volumes hold models, answered from kept looks: whoever measures a volume looks at it, too, in the background.

Whoever asks waits only for looks at volumes that changed since their last one, at most for BUDGET; the others answer with what was seen.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from corten.engine.cleanup.models import Found, Models
from corten.store.volumes import Volume

BUDGET: Final = 0.15
_YOUNG: Final = 2 * 10**9
"""A look so recent (ns) is not repeated for whoever asks."""


class Recognition:
    """Belongs to the event loop; looks run in threads."""

    def __init__(self, models: Models, place: Callable[[Volume], str]) -> None:
        """`place` tells where a volume's files are."""
        self._models = models
        self._place = place

    async def of(self, volumes: Sequence[Volume], used: Mapping[str, int]) -> dict[str, Found]:
        """Those that hold models, by name. `used` tells when each was last used (ns): it may have changed until then."""
        looked = self._models.looked()
        due = [volume for volume in volumes if _is_due(volume, looked.get(volume.name, 0), used.get(volume.name, 0))]
        if due:
            await asyncio.to_thread(self._look, due)
        known = self._models.all()
        return {volume.name: known[volume.name] for volume in volumes if volume.name in known}

    def _look(self, volumes: Sequence[Volume]) -> None:
        deadline = time.monotonic() + BUDGET
        for volume in volumes:
            self._models.look(volume.name, self._place(volume))
            if time.monotonic() > deadline:
                return


def _is_due(volume: Volume, looked: int, used: int) -> bool:
    return looked <= max(volume.created, used) and time.time_ns() - looked > _YOUNG
