"""`network prune`: user networks that no running container is on."""

from dataclasses import dataclass

from corten.engine.cleanup.prune.options import PROTECTED, KeptObject, PruneFilter, PruneOptions, PruneReport
from corten.engine.events import Events
from corten.engine.networks.networks import Networks
from corten.engine.protection import is_protecting
from corten.errors import Denied


@dataclass(frozen=True, slots=True)
class NetworkPrune:
    """Belongs to the event loop."""

    networks: Networks
    events: Events

    async def run(self, filter: PruneFilter, options: PruneOptions) -> PruneReport:
        names: list[str] = []
        kept: list[KeptObject] = []
        for network in self.networks.catalog:
            if network.is_predefined or self.networks.members(network) or not filter.wants(network.labels, network.created):
                continue
            if not options.force_protected and is_protecting(network.labels):
                kept.append(KeptObject(network.name, PROTECTED))
                continue
            try:
                if not options.dry:
                    await self.networks.remove(network.id)
            except Denied:
                continue
            names.append(network.name)
        if not options.dry:
            self.events.publish("network", "prune", "", {"reclaimed": "0"})
        return PruneReport(tuple(names), 0, tuple(kept))
