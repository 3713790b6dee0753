"""Carries the model's operations out on the engine over a real store, whose processes and networks only pretend, and looks at it."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from corten.engine.cleanup.prune.options import PruneFilter, PruneOptions
from corten.engine.images.removal import ImagePruneFilter
from corten.engine.values.container import HostConfig
from corten.errors import EngineError
from corten.gcpolicy import GcPolicy
from corten.store.trashbin.volumes import VolumeBin
from tests.integration.cleanup.model import Container, Op, State, Trashed, Volume, digest_on_disk, tree_of
from tests.unit.engine.world import World
from tests.unit.store.tarballs import Member, tarball
from tests.unit.store.test_archive import archive, docker_archive

GC = GcPolicy(trash=7 * 86400)


class Player:
    def __init__(self, world: World) -> None:
        self._world = world
        self._services = world.engine.services

    async def play(self, op: Op) -> bool:
        """False: the engine refused. A full disk is raised."""
        doers: dict[str, Callable[..., Awaitable[object]]] = {
            "make": self._services.volumes.create,
            "write": self._write,
            "protect": self._protect,
            "run": self._run,
            "rm container": self._services.removal.remove,
            "rm": self._services.volumes.remove,
            "rmi": self._services.images.removal.remove,
            "prune volumes": lambda: self._services.cleanup.prunes.volumes.run(PruneFilter(), PruneOptions(), everything=True),
            "prune images": lambda: self._services.images.removal.prune(ImagePruneFilter(dangling_only=False)),
            "prune containers": lambda: self._services.cleanup.prunes.containers.run(PruneFilter(), PruneOptions()),
            "load": self._load,
            "restore": self._services.cleanup.trash.restore,
            "empty": self._empty,
        }
        try:
            await doers[op[0]](*op[1:])
        except EngineError as error:
            if error.reason == "disk-full":
                raise
            return False
        return True

    async def observe(self) -> State:
        """What is there, the files read from the disk."""
        services, store = self._services, self._world.store
        said = services.cleanup.protection.setting
        volumes = {v.name: Volume(digest_on_disk(self._data(v.name)), str(said(v.name))) for v in services.volumes.list({})}
        state = State(volumes, frozenset(tag for i in store.images.all() for tag in i.repo_tags if tag.startswith("app")))
        for container in services.containers.all():
            (point,) = container.mounts
            made = Container(container.image_ref, point.name, "corten.protected" in container.config.labels)
            state.containers[container.name] = made
            assert container.id in services.volumes.get(point.name).users
        bin = VolumeBin(store.bin, str(self._world.path / "data" / "volumes"))
        trash = []
        for entry in store.bin.all():
            if entry.kind == "volume":
                if not os.path.isdir(bin.data(entry)):  # its end was cut short: it cannot be had back, and the next start forgets it
                    continue
                trash.append(Trashed("volume", entry.name, digest_on_disk(Path(bin.data(entry))), str(entry.body["protected"])))
            elif entry.name.startswith("app"):
                trash.append(Trashed("image", entry.name, ""))
        return replace(state, trash=tuple(trash))

    def _data(self, name: str) -> Path:
        return self._world.path / "data" / "volumes" / name / "_data"

    async def _write(self, name: str, seed: str) -> None:
        self._services.volumes.get(name)
        folder = self._data(name)
        shutil.rmtree(folder)
        for path, data in tree_of(seed).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)

    async def _protect(self, name: str, said: str) -> None:
        self._services.volumes.get(name)
        self._services.cleanup.protection.set(name, said == "True")

    async def _run(self, name: str, image: str, volume: str, protected: str) -> None:
        labels = {"corten.protected": "1"} if protected == "True" else {}
        host = HostConfig(network_mode="none", binds=(f"{volume}:/data",))
        await self._world.create(name, host=host, image=image, labels=labels)

    async def _empty(self, *names: str) -> None:
        await self._services.cleanup.trash.empty(list(names) or None)

    async def _load(self, tag: str) -> None:
        async for _ in self._services.images.archives.load(_pieces(image_archive(tag)), quiet=True, platform=None):
            pass


def image_archive(tag: str) -> bytes:
    """An image whose /data holds the tree of its tag, in two layers."""
    members = [Member(f"data/{path}", data=data) for path, data in tree_of(tag).items()]
    layers = [tarball([*members[:3], Member("shared")]), tarball(members[3:])]
    return archive(docker_archive(layers, RepoTags=[tag]))


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 20_000):
        yield data[start : start + 20_000]
