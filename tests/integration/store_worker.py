"""Loads and removes an archive over and over until it is killed: `python -m tests.integration.store_worker ROOT ARCHIVE`."""

import sys
from collections.abc import Iterator

from corten.store.archive.load import load_archive
from corten.store.opened import open_store


def pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(20_000):
            yield piece


def main(root: str, archive: str) -> None:
    store = open_store(root)
    print("ready", flush=True)
    while True:
        (image,) = load_archive(store, pieces(archive), report=lambda *_: None)
        store.snapshots.prepare("c1", store.images.get(image.id).layers)
        store.durability.settle()
        store.snapshots.remove("c1")
        store.images.remove(image.id)
        store.layers.collect()


if __name__ == "__main__":
    main(*sys.argv[1:])
