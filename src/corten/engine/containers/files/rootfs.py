"""A container's root directory as a descriptor, its volumes and binds included, for a thread that looks into it or writes.

It is mounted for the moment, in a mount namespace that belongs to the thread alone and ends with it: the daemon and its other threads
never see it. A running container's root is a second mount of its own, so that both see each other's writes at once; what it has
mounted itself, and /proc, /sys, /dev and tmpfs, are not in it, as in Docker. Whoever uses a view goes through openat2 inside it.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from corten.errors import Conflict, EngineError
from corten.kernel.mount import (
    AT_FDCWD,
    AT_RECURSIVE,
    MNT_DETACH,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_REC,
    OPEN_TREE_CLONE,
    MountAttr,
    has_mount_setattr,
    mount,
    mount_setattr,
    move_mount,
    open_tree,
    set_attributes,
    umount2,
)
from corten.kernel.namespaces import CLONE_NEWNS, open_namespace, setns, unshare
from corten.kernel.openat2 import make_directory_in_root, make_file_in_root, open_in_root
from corten.store.view import stacked_layers, stacked_mount


@dataclass(frozen=True, slots=True)
class RootMount:
    """A host path that is seen at `destination`."""

    source: str
    destination: str
    is_writable: bool = True


@dataclass(frozen=True, slots=True)
class RootSource:
    """What a container's root is made of: that of process `pid`, or, when it is 0, an overlay.

    `layers`: its directories, top first, the writable one included; `options`: those of the writable overlay. `place`: an existing
    directory to mount it at.
    """

    place: str
    pid: int
    layers: Sequence[str]
    options: Sequence[str]
    attached: Sequence[RootMount] = ()


class MountPointMissing(Exception):
    """A destination does not exist, and the view must not make it."""


@contextmanager
def opened_root(source: RootSource, *, writable: bool) -> Iterator[int]:
    """An O_PATH descriptor of the root. Changes this thread's mount namespace: the thread must end soon afterwards.

    For a container that does not run nothing is changed without `writable`; raises MountPointMissing when a destination would have
    to be made. All is unmounted on leaving, so that the container can start at once. Raises Conflict when the process has ended.
    """
    with ExitStack() as opened:
        tree = _root_tree(source, writable=writable)
        try:
            mount(None, "/", None, MS_REC | MS_PRIVATE)
            move_mount(tree, "", AT_FDCWD, source.place)
        finally:
            os.close(tree)
        opened.callback(umount2, source.place, MNT_DETACH)
        root = os.open(source.place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, root)
        for one in _parents_first(source.attached):
            _attach(root, one, make=writable or source.pid != 0)
        yield root


@contextmanager
def opened_root_alone(source: RootSource) -> Iterator[int]:
    """The root without anything mounted in it, read-only. Changes this thread's mount namespace."""
    tree = _root_tree(source, writable=False)
    try:
        yield tree
    finally:
        os.close(tree)


def _root_tree(source: RootSource, *, writable: bool) -> int:
    """A detached mount of the root."""
    unshare(CLONE_NEWNS)
    if source.pid:
        return _process_root(source.pid)
    if writable:
        return stacked_mount(source.options)
    return stacked_layers(source.layers)


def _process_root(pid: int) -> int:
    """A detached copy of the root mount of a process, without what is mounted in it."""
    own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespace = open_namespace("mount", pid)
        try:
            setns(namespace, CLONE_NEWNS)
        finally:
            os.close(namespace)
        tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE)
        setns(own, CLONE_NEWNS)
        return tree
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Conflict("the container has ended meanwhile", reason="container-ended", hint="try again") from error
    finally:
        os.close(own)


def _parents_first(attached: Iterable[RootMount]) -> list[RootMount]:
    return sorted(attached, key=lambda one: one.destination.rstrip("/").count("/"))


def _attach(root: int, one: RootMount, *, make: bool) -> None:
    try:
        tree = open_tree(AT_FDCWD, one.source, OPEN_TREE_CLONE | AT_RECURSIVE)
    except OSError:
        return  # a bind whose source has gone: the container would not start either, but its files can be had
    try:
        is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        target = _mount_point(root, one.destination, is_directory=is_directory, make=make)
        try:
            if not one.is_writable and has_mount_setattr():
                mount_setattr(tree, "", AT_RECURSIVE, MountAttr(attr_set=MOUNT_ATTR_RDONLY))
            move_mount(tree, "", target, "")
            if not one.is_writable and not has_mount_setattr():
                set_attributes(tree, "", MOUNT_ATTR_RDONLY)
        finally:
            os.close(target)
    except OSError as error:
        raise EngineError(f"mounting {one.source} at {one.destination}: {error}", reason="view-mount") from error
    finally:
        os.close(tree)


def _mount_point(root: int, destination: str, *, is_directory: bool, make: bool) -> int:
    if make:
        return make_directory_in_root(root, destination) if is_directory else make_file_in_root(root, destination)
    try:
        return open_in_root(root, destination.lstrip("/") or ".", os.O_PATH)
    except OSError:
        raise MountPointMissing(destination) from None
