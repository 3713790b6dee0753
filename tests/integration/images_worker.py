"""Pulls, loads, removes and prunes over and over until it is killed: `python -m tests.integration.images_worker ROOT ARCHIVE NAME SEED`.

Says `ready` once, then each thing that it begins.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from corten.engine.events import Events
from corten.engine.images.removal import ImagePruneFilter, RemoveOptions
from corten.engine.images.service import Images
from corten.engine.transfer.pull import Pulls
from corten.errors import NotFound
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import open_store


async def pieces(path: str) -> AsyncIterator[bytes]:
    data = Path(path).read_bytes()
    for start in range(0, len(data), 20_000):
        yield data[start : start + 20_000]


async def main(root: str, archive: str, name: str, seed: str) -> None:
    store, events, moves = open_store(root), Events(), random.Random(int(seed))
    pulls = Pulls(store, RegistrySettings(certs_d=()), events)
    images = Images(store, list, events, pulls.refetch())
    print("ready", flush=True)
    while True:
        move = moves.choice(("pull", "pull", "load", "rmi", "prune"))
        print(move, flush=True)
        if move == "pull":
            await pulls.pull(parse_reference(name), lambda _: None)
        elif move == "load":
            async for _ in images.archives.load(pieces(archive), quiet=True, platform=None):
                pass
        elif move == "prune":
            await images.removal.prune(ImagePruneFilter(dangling_only=False))
        else:
            for wanted in ("app:v1", name):
                try:
                    await images.removal.remove(wanted, RemoveOptions())
                except NotFound:
                    continue


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
