"""How much volumes and writable layers take on disk, from kept figures.

Whatever can change without our noticing is *restless*: what running containers write into, and, since the host's users may write there
too, every volume whose figure is older than ten minutes. The rest was measured once after its last change and stays true.

Whoever asks waits for a walk only of what was never measured, and at most for BUDGET of walks of restless things, the cheapest first;
the others answer with what the last round in the background found. That round begins every PERIOD, spends a quarter of a processor,
and leaves big trees in peace for twenty times as long as they took. No lock but this object's is held by a walk.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process
from corten.engine.values.container import Container
from corten.store.contents.figures import Figure, Figures, walk
from corten.store.snapshots import Snapshots
from corten.store.volumes import Volume
from corten.store.volumes import Volumes as VolumeStore

BUDGET: Final = 0.15
PERIOD: Final = 30.0
_SECOND: Final = 1_000_000_000
_IDLE_AGE: Final = 600 * _SECOND
_YOUNG: Final = _SECOND // 2
"""A restless thing measured so recently is not measured again for whoever asks."""
_PATIENCE: Final = 20
_WORK, _REST = 0.005, 0.015


class _Interrupted(Exception):
    """The walk is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure. `stamp` and `changed` (ns since the epoch): figures with another stamp, or from before, are no good.

    `is_live`: it may change at any moment. `born`: figures from before are of something else that had its name.
    """

    kind: str
    name: str
    path: str
    stamp: str
    changed: int
    is_live: bool
    born: int = 0


def _nothing(name: str, place: str) -> None:
    """Nobody looks at what was measured."""


class DiskUsage:
    """Belongs to the event loop; walks run in threads, one at a time."""

    def __init__(
        self,
        figures: Figures,
        catalog: ContainerCatalog,
        snapshots: Snapshots,
        volumes: VolumeStore,
        look: Callable[[str, str], object] = _nothing,
    ) -> None:
        """`look` is called in the walks' thread with the name and the place of every volume that was measured."""
        self._look = look
        self._figures = figures
        self._catalog = catalog
        self._snapshots = snapshots
        self._volumes = volumes
        self._walking = asyncio.Lock()
        self._closing = threading.Event()

    async def written(self, containers: Sequence[Container]) -> dict[str, int]:
        """Bytes that each wrote into its own layer, by id."""
        return await self._sizes("container", [self._of_container(c) for c in containers])

    async def held(self, volumes: Sequence[Volume]) -> dict[str, int]:
        """Bytes in each, by name."""
        return await self._sizes("volume", [self._of_volume(v) for v in volumes])

    def touched(self, container: Container) -> None:
        """Somebody wrote into the files of a container that need not run."""
        self._figures.forget("container", [container.id])
        self._figures.forget("volume", [point.name for point in container.mounts if point.type == "volume"])

    async def keep_fresh(self) -> None:
        """Measures in the background, for ever; forgets what is no more."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                await self.round()
        finally:
            self._closing.set()

    async def round(self) -> None:
        """Everything once that needs it."""
        subjects = [self._of_container(entry.value) for entry in self._catalog] + [self._of_volume(v) for v in self._plain_volumes()]
        for kind in ("container", "volume"):
            known = self._figures.all(kind)
            mine = [subject for subject in subjects if subject.kind == kind]
            self._figures.forget(kind, known.keys() - {subject.name for subject in mine})
            for subject in mine:
                if _is_due(subject, known.get(subject.name)):
                    await asyncio.to_thread(self._measure, subject, _leisurely(self._closing))

    async def _sizes(self, kind: str, subjects: Sequence[Subject]) -> dict[str, int]:
        known = self._figures.all(kind)
        if any(not _is_settled(subject, known.get(subject.name)) for subject in subjects):
            async with self._walking:
                known = self._figures.all(kind)
                await asyncio.to_thread(self._catch_up, subjects, known)
        return {subject.name: known[subject.name].size for subject in subjects}

    def _catch_up(self, subjects: Iterable[Subject], known: dict[str, Figure]) -> None:
        """Measures what has no figure, then restless things for as long as the budget lasts. Adds to `known`."""
        restless = []
        for subject in subjects:
            figure = known.get(subject.name)
            if figure is None or figure.at <= subject.born:
                known[subject.name] = self._measure(subject, self._unless_closing) or Figure(0, 0, 0)
            elif not _is_settled(subject, figure) and (figure.at <= subject.changed or time.time_ns() - figure.at > _YOUNG):
                restless.append((figure.cost, subject))
        deadline = time.monotonic() + BUDGET
        for cost, subject in sorted(restless, key=lambda pair: pair[0]):
            if time.monotonic() + cost / _SECOND > deadline:
                break
            known[subject.name] = self._measure(subject, lambda: _check(deadline)) or known[subject.name]

    def _measure(self, subject: Subject, between: Callable[[], None]) -> Figure | None:
        """None when it was interrupted."""
        try:
            figure = walk(subject.path, stamp=subject.stamp, between=between)
        except _Interrupted:
            return None
        self._figures.keep(subject.kind, subject.name, figure)
        if subject.kind == "volume":
            self._look(subject.name, subject.path)
        return figure

    def _unless_closing(self) -> None:
        if self._closing.is_set():
            raise _Interrupted

    def _plain_volumes(self) -> Iterator[Volume]:
        return (volume for volume in self._volumes.all() if not volume.options)

    def _of_container(self, container: Container) -> Subject:
        state = container.state
        return Subject("container", container.id, self._snapshots.upper(container.id), "", state.finished_at, has_process(state))

    def _of_volume(self, volume: Volume) -> Subject:
        users = [entry.value for user in volume.users if (entry := self._catalog.find(user)) is not None]
        ended = max((user.state.finished_at for user in users), default=0)
        is_live = any(has_process(user.state) for user in users)
        place, stamp = self._volumes.data(volume.name), ",".join(sorted(volume.users))
        return Subject("volume", volume.name, place, stamp, max(ended, volume.created), is_live, volume.created)


def _is_settled(subject: Subject, figure: Figure | None) -> bool:
    """Whether the figure is true as it stands."""
    if figure is None or subject.is_live or figure.stamp != subject.stamp or figure.at <= subject.changed:
        return False
    return subject.kind == "container" or time.time_ns() - figure.at < _IDLE_AGE


def _is_due(subject: Subject, figure: Figure | None) -> bool:
    if figure is None:
        return True
    return not _is_settled(subject, figure) and time.time_ns() - figure.at > max(_PATIENCE * figure.cost, int(PERIOD * _SECOND))


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _Interrupted


def _leisurely(closing: threading.Event) -> Callable[[], None]:
    """A quarter of a processor: after a little work a rest three times as long."""
    resume = time.monotonic() + _WORK

    def between() -> None:
        nonlocal resume
        if time.monotonic() > resume and closing.wait(_REST):
            raise _Interrupted
        if time.monotonic() > resume:
            resume = time.monotonic() + _WORK

    return between
