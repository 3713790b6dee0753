"""The data root's directories that belong to the store.

content/   blobs by digest, and partial ones        layers/     unpacked layers by diff id
snapshots/ writable halves of containers            tmp/        work in progress, and what is being deleted: nothing here outlives a start
trash/     removed volumes that can be had back
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreRoot:
    """Paths only; `make_root` makes them."""

    path: str

    @property
    def content(self) -> str:
        return os.path.join(self.path, "content")

    @property
    def layers(self) -> str:
        return os.path.join(self.path, "layers")

    @property
    def snapshots(self) -> str:
        return os.path.join(self.path, "snapshots")

    @property
    def work(self) -> str:
        return os.path.join(self.path, "tmp", "work")

    @property
    def trash(self) -> str:
        return os.path.join(self.path, "tmp", "trash")

    @property
    def bin(self) -> str:
        return os.path.join(self.path, "trash")

    @property
    def database(self) -> str:
        return os.path.join(self.path, "corten.db")


def make_root(path: str) -> StoreRoot:
    """Makes what is missing under `path` (absolute)."""
    root = StoreRoot(path)
    os.makedirs(path, mode=0o710, exist_ok=True)
    for directory in (root.content, root.layers, root.snapshots, root.work, root.trash):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    return root
