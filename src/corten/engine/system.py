"""`docker info`: this engine and its host in figures."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field

from corten.config import Config
from corten.engine.events import Events
from corten.engine.host import HostFacts
from corten.engine.localdriver import NAME as DRIVER
from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import is_up
from corten.ids import random_hex64
from corten.kernel.probe import KernelFeatures, shortcomings
from corten.store.opened import Store

NETWORK_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null")
VOLUME_DRIVERS = (DRIVER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """`containers` counts by Docker's three kinds. `system_time` is ns since the epoch, `memory` bytes."""

    engine_id: str
    containers: int
    running: int
    paused: int
    images: int
    config: Config
    facts: HostFacts
    features: KernelFeatures
    backing_file_system: str
    open_files: int
    listeners: int
    system_time: int
    ipv4_forwarding: bool
    runtimes: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def stopped(self) -> int:
        return self.containers - self.running - self.paused


class System:
    def __init__(
        self, config: Config, facts: HostFacts, features: KernelFeatures, store: Store, catalog: ContainerCatalog, events: Events
    ) -> None:
        self._config = config
        self._facts = facts
        self._features = features
        self._store = store
        self._catalog = catalog
        self._events = events
        self._id = _engine_id(os.path.join(config.data_root, "engine-id"))
        self._backing = file_system_of(config.data_root)

    @property
    def engine_id(self) -> str:
        """Made once for a data root."""
        return self._id

    def layers_size(self) -> int:
        """Bytes of all layers of images, each counted once."""
        used = {diff_id for image in self._store.images.all() for diff_id in image.layers}
        return sum(layer.size for layer in self._store.layers.all() if layer.diff_id in used)

    def info(self) -> SystemInfo:
        statuses = Counter(entry.state.status for entry in self._catalog)
        paused = statuses["paused"]
        up = sum(is_up(entry.state) for entry in self._catalog)
        return SystemInfo(
            engine_id=self._id,
            containers=len(self._catalog),
            running=up - paused,
            paused=paused,
            images=len(self._store.images.all()),
            config=self._config,
            facts=self._facts,
            features=self._features,
            backing_file_system=self._backing,
            open_files=len(os.listdir("/proc/self/fd")),
            listeners=self._events.listener_count,
            system_time=time.time_ns(),
            ipv4_forwarding=_first_line("/proc/sys/net/ipv4/ip_forward") == "1",
            runtimes={"corten": "corten-runtime", **self._config.runtimes},
            warnings=tuple(f"WARNING: {sentence}" for sentence in shortcomings(self._features)),
        )


def file_system_of(path: str) -> str:
    """The kind of file system that holds `path`, e.g. ext4."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split(" ")
            if fields[2] == wanted:
                return fields[fields.index("-") + 1]
    return "unknown"


def _engine_id(path: str) -> str:
    known = _first_line(path)
    if known:
        return known
    digits = random_hex64()
    made = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    part = f"{path}.part"
    with open(part, "w", encoding="ascii") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    return made


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except FileNotFoundError:
        return ""
