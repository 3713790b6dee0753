"""Who holds which layers, all of it at once: what a plan of removals is reckoned from."""

from collections.abc import Mapping, Sequence

from corten.ids import DiffId
from corten.store.db import Database
from corten.store.records.leases import Leases

_HELD = """
SELECT 'image:' || i.id, j.value FROM images i, json_each(i.layers) j
UNION ALL SELECT 'snapshot:' || s.key, j.value FROM snapshots s, json_each(s.layers) j
UNION ALL SELECT keeper, diff_id FROM keeps
"""


def layers_held(db: Database, leases: Leases) -> Mapping[str, Sequence[DiffId]]:
    """By holder: `image:ID`, `snapshot:KEY`, `lease`, or a keeper as it is in `keeps`."""
    held: dict[str, list[DiffId]] = {"lease": list(leases.held())}
    for holder, diff_id in db.query(_HELD):
        held.setdefault(holder, []).append(diff_id)
    return held
