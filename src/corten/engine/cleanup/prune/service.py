"""Every prune as one value for the API."""

from dataclasses import dataclass

from corten.engine.cleanup.prune.caches import CachePrune
from corten.engine.cleanup.prune.containers import ContainerPrune
from corten.engine.cleanup.prune.networks import NetworkPrune
from corten.engine.cleanup.prune.volumes import VolumePrune
from corten.engine.images.removal import Removal


@dataclass(frozen=True, slots=True)
class Prunes:
    containers: ContainerPrune
    networks: NetworkPrune
    volumes: VolumePrune
    images: Removal
    caches: CachePrune
