"""Snapshots of build steps: a writable snapshot on a stage's layers, which is committed as a layer when the step is done."""

import os
import stat
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from corten.build.files.upperdir import UpperDirWriter
from corten.build.layer_lookups import LayerLookups
from corten.errors import Invalid, NotFound
from corten.ids import DiffId, random_hex64
from corten.kernel.mount import AT_FDCWD, move_mount
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2
from corten.store.layers import Layers
from corten.store.records.leases import Lease
from corten.store.snapshots import Snapshots
from corten.store.view import opened_view, opened_writable, stacked_mount

T = TypeVar("T")
MOST_LAYERS: Final = 500
"""As many lower directories as overlayfs takes (OVL_MAX_STACK)."""


class LayerCommit(Protocol):
    """Makes a snapshot's upper directory a layer."""

    def __call__(self, key: str, lease: Lease, *, newest: int | None) -> DiffId:
        """The snapshot is gone afterwards. Times later than `newest` (ns) become `newest`; None keeps all."""
        ...


class BuildSnapshotter:
    """All methods block; call them in a thread. `lease` keeps what one build made while it goes on."""

    def __init__(
        self, snapshots: Snapshots, layers: Layers, commit: LayerCommit, lease: Lease, newest: int | None, lookups: LayerLookups
    ) -> None:
        self._snapshots = snapshots
        self._layers = layers
        self._commit = commit
        self._lease = lease
        self._newest = newest
        self._lookups = lookups

    def prepare(self, layers: Sequence[DiffId]) -> str:
        """A fresh writable stack; its key, which has the form of a container id. Raises Invalid for more layers than can be stacked."""
        if len(layers) >= MOST_LAYERS:
            hint = "join RUN instructions with &&, copy folders instead of single files"
            raise Invalid(f"max depth exceeded: an image has at most {MOST_LAYERS} layers", reason="too-many-layers", hint=hint)
        key = random_hex64()
        self._snapshots.prepare(key, layers, volatile=True)
        return key

    def hold(self, layers: Sequence[DiffId]) -> None:
        """Keeps stored layers for as long as the lease lasts. Takes microseconds. Raises NotFound for one that is gone."""
        for layer in layers:
            if self._layers.hold(layer, self._lease) is None and self._layers.find(layer) is None:
                raise NotFound(f"layer {layer} is not stored", reason="no-layer", hint="its image was removed meanwhile: build again")

    @contextmanager
    def writable(self, key: str) -> Iterator[int]:
        """A descriptor of the writable root."""
        (mount,) = self._snapshots.mounts(key)
        with opened_writable(mount["options"]) as fd:
            yield fd

    def mount(self, key: str, target: str) -> None:
        """Mounts the writable stack at a host directory; the caller unmounts it before `drop`."""
        (mount,) = self._snapshots.mounts(key)
        fd = stacked_mount(mount["options"])
        try:
            move_mount(fd, "", AT_FDCWD, target)
        finally:
            os.close(fd)

    @contextmanager
    def view(self, layers: Sequence[DiffId]) -> Iterator[int]:
        """A descriptor of `layers` stacked, read-only."""
        with opened_view([self._layers.path(d) for d in reversed(layers)] or [self._layers.empty_path()]) as fd:
            yield fd

    def lookup(self, layers: Sequence[DiffId], question: Hashable, look: Callable[[int], T]) -> T:
        """What `look` finds in `layers`, of which it gets the root. They are opened only if `question` was not asked of them before."""

        def opened() -> T:
            with self.view(layers) as root:
                return look(root)

        return self._lookups.get((tuple(layers), question), opened)

    def commit(self, key: str) -> DiffId | None:
        """The layer that the step made, None when it changed nothing. The stack is gone."""
        if _is_empty(self._snapshots.upper(key)):
            self._snapshots.remove(key)
            return None
        return self._commit(key, self._lease, newest=self._newest)

    def write_upper(self, key: str, upper: UpperDirWriter) -> None:
        """Links files into the stack, which must not be open."""
        upper.write(self._snapshots.upper(key))

    def remove(self, key: str) -> None:
        self._snapshots.remove(key)

    def missing_paths(self, layers: Sequence[DiffId], paths: Sequence[str]) -> list[str]:
        """Those of `paths` and their parents that are not there, parents first: what mounting over them will have to make."""
        found: dict[str, None] = {}
        with self.view(layers) as root:
            for path in paths:
                parts = path.strip("/").split("/")
                for depth in range(1, len(parts) + 1):
                    part = "/".join(parts[:depth])
                    if part and part not in found and not _exists(root, part):
                        found[part] = None
        return list(found)

    def remove_stubs(self, key: str, paths: Sequence[str]) -> None:
        """Removes the empty files, directories and device nodes at `paths` (parents first) that were made for the step alone."""
        upper = self._snapshots.upper(key)
        for path in reversed(paths):
            full = os.path.join(upper, path)
            try:
                found = os.lstat(full)
                if stat.S_ISDIR(found.st_mode):
                    os.rmdir(full)
                elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
                    os.unlink(full)
                elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode) or stat.S_ISFIFO(found.st_mode):
                    os.unlink(full)  # a device's node outside /dev
            except OSError:
                continue  # in use by the step itself: it stays


def _is_empty(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def _exists(root: int, path: str) -> bool:
    try:
        os.close(openat2(root, path, os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT))
    except OSError:
        return False
    return True
