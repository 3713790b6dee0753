"""Mounts made on the host for one run, for the runtime to bind: images as directories, and parts of volumes and images.

    exec_root/mounts/ID/N        mount point number N of container ID: the image
    exec_root/mounts/ID/N.part   … and its sub-path

A sub-path belongs to whoever writes into the volume, who may put links into it and swap directories at any moment. So it is
resolved once, inside the volume, to a descriptor, and what that names is mounted: no path is looked up again afterwards.
"""

import asyncio
import errno
import os
from collections.abc import Iterable

from corten.engine.values.container import Container, MountPoint
from corten.errors import EngineError, NotFound
from corten.kernel.mount import AT_FDCWD, AT_RECURSIVE, MNT_DETACH, OPEN_TREE_CLONE, move_mount, open_tree, umount2
from corten.kernel.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from corten.store.layers import Layers
from corten.store.view import stacked_layers


class Staging:
    """`stage` and `unstage` may be called again for the same container."""

    def __init__(self, root: str, layers: Layers) -> None:
        self._root = root
        self._layers = layers

    async def stage(self, container: Container) -> dict[str, str]:
        """Host paths by destination, for the mount points that need one. Raises NotFound and EngineError in Docker's words."""
        wanted = [(number, point) for number, point in enumerate(container.mounts) if _needs_mount(point)]
        if not wanted:
            return {}
        self.unstage(container.id)
        try:
            return await asyncio.to_thread(self._stage, container.id, wanted)
        except EngineError:
            self.unstage(container.id)
            raise

    def staged(self, container: Container) -> dict[str, str]:
        """The same paths, for a container that runs."""
        found = {}
        for number, point in enumerate(container.mounts):
            if _needs_mount(point):
                place = os.path.join(self._root, container.id, str(number))
                found[point.destination] = f"{place}.part" if point.request and point.request.subpath else place
        return found

    def unstage(self, container_id: str) -> None:
        """Nothing of it is mounted any more. A missing one is fine."""
        folder = os.path.join(self._root, container_id)
        if not os.path.isdir(folder):
            return
        for name in sorted(os.listdir(folder), reverse=True):  # parts before what they are parts of
            _unmount(os.path.join(folder, name))
        os.rmdir(folder)

    def _stage(self, container_id: str, wanted: Iterable[tuple[int, MountPoint]]) -> dict[str, str]:
        folder = os.path.join(self._root, container_id)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return {point.destination: self._stage_one(os.path.join(folder, str(number)), point) for number, point in wanted}

    def _stage_one(self, place: str, point: MountPoint) -> str:
        source = point.source
        if point.type == "image":
            source = self._mount_image(place, point)
        subpath = point.request.subpath if point.request else ""
        return mount_part(source, subpath, f"{place}.part") if subpath else source

    def _mount_image(self, place: str, point: MountPoint) -> str:
        layers = [self._layers.path(diff_id) for diff_id in reversed(point.layers)]
        mounted = stacked_layers((*layers, self._layers.empty_path()))
        try:
            os.mkdir(place, 0o700)
            move_mount(mounted, "", AT_FDCWD, place)
        finally:
            os.close(mounted)
        return place


def mount_part(source: str, subpath: str, place: str) -> str:
    """Mounts what `subpath` means inside directory `source` at the new path `place`, and returns that. Links stay inside `source`."""
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        part = openat2(root, subpath, os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        raise _unreachable(os.path.join(source, subpath), error) from error
    finally:
        os.close(root)
    try:
        is_directory = os.path.isdir(f"/proc/self/fd/{part}")
        mounted = open_tree(part, "", OPEN_TREE_CLONE | AT_RECURSIVE)
    finally:
        os.close(part)
    try:
        if is_directory:
            os.mkdir(place, 0o700)
        else:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        move_mount(mounted, "", AT_FDCWD, place)
    finally:
        os.close(mounted)
    return place


def _needs_mount(point: MountPoint) -> bool:
    return point.type == "image" or (point.type == "volume" and point.request is not None and point.request.subpath != "")


def _unreachable(path: str, error: OSError) -> EngineError:
    text = f"cannot access path {path}: lstat {path}: {os.strerror(error.errno or 0).lower()}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(text, reason="no-subpath", hint="make it in the volume first")
    return EngineError(text, reason="subpath-unreachable")


def _unmount(path: str) -> None:
    try:
        umount2(path, MNT_DETACH)
    except OSError as error:
        if error.errno != errno.EINVAL:  # not a mount point: the crash came before the mount
            raise
    if os.path.isdir(path):
        os.rmdir(path)
    else:
        os.unlink(path)
