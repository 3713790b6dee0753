"""Reading a few files (passwd, group) of a container's root from outside, safe against what its links say.

A stopped container's root is mounted nowhere: a fresh one is its image, read once per stack of layers and remembered; one that has
written under /etc is stacked for the moment. A running container's root is reached through its process.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence

from corten.engine.values.container import Container
from corten.ids import DiffId
from corten.kernel.openat2 import open_in_root
from corten.store.layers import Layers
from corten.store.snapshots import Snapshots
from corten.store.view import opened_view

LIMIT = 1 << 20
"""Bytes read of a file: nobody's passwd is longer."""
_REMEMBERED = 64

Reader = Callable[[str], str]


class RootFiles:
    def __init__(self, snapshots: Snapshots, layers: Layers) -> None:
        self._snapshots = snapshots
        self._layers = layers
        self._images: OrderedDict[tuple[DiffId, ...], dict[str, str]] = OrderedDict()

    def reader(self, container: Container) -> Reader:
        """For a container that does not run: the text of a file, "" where there is none."""
        snapshot = self._snapshots.get(container.id)
        upper = self._snapshots.upper(container.id)
        if not os.path.lexists(os.path.join(upper, "etc")):
            return lambda path: self._from_image(snapshot.layers, path)
        return lambda path: self._stacked([upper, *self._directories(snapshot.layers)], path)

    def reader_of_process(self, pid: int) -> Reader:
        """For a running container."""
        return lambda path: _through_process(pid, path)

    def _from_image(self, layers: tuple[DiffId, ...], path: str) -> str:
        known = self._images.setdefault(layers, {})
        self._images.move_to_end(layers)
        if len(self._images) > _REMEMBERED:
            self._images.popitem(last=False)
        if path not in known:
            known[path] = self._stacked(self._directories(layers), path)
        return known[path]

    def _directories(self, layers: Sequence[DiffId]) -> list[str]:
        """Top first."""
        return [self._layers.path(diff_id) for diff_id in reversed(layers)]

    def _stacked(self, directories: Sequence[str], path: str) -> str:
        if not directories:
            return ""
        with opened_view(directories) as root:
            return _read(root, path)


def _through_process(pid: int, path: str) -> str:
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return _read(root, path)
    finally:
        os.close(root)


def _read(root: int, path: str) -> str:
    try:
        # Not to hang on a fifo, nor to open a device with an effect.
        fd = open_in_root(root, path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        try:
            return file.read(LIMIT).decode(errors="surrogateescape")
        except OSError:
            return ""
