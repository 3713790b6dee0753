"""A stack of layers as one tree that is mounted nowhere: a descriptor of its root.

The overlay hangs off the descriptor alone (fsmount(2), no move_mount): nothing to unmount, nothing to leak, no namespace changed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from corten.errors import EngineError
from corten.kernel.mount import MOUNT_ATTR_RDONLY
from corten.kernel.overlay import OverlayStack, overlay, parse_overlay_options


@contextmanager
def opened_view(layers: Sequence[str]) -> Iterator[int]:
    """A directory fd at the root of `layers` (directories, top first; whiteouts in overlayfs's form), closed on leaving.

    A single directory is opened as it is. Raises EngineError when the kernel refuses the stack.
    """
    fd = os.open(layers[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if len(layers) == 1 else _opened(stacked_layers(layers))
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_writable(options: Sequence[str]) -> Iterator[int]:
    """A directory fd at the root of a writable overlay with these mount options (as `Snapshots.mounts` gives them)."""
    fd = _opened(stacked_mount(options))
    try:
        yield fd
    finally:
        os.close(fd)


def stacked_mount(options: Sequence[str]) -> int:
    """The fd of a detached, writable overlay mount with these options, the caller's to place and close.

    Raises EngineError when the kernel refuses.
    """
    return _stacked(parse_overlay_options(options), 0)


def stacked_layers(layers: Sequence[str]) -> int:
    """The same of directories alone (top first, two at least), read-only."""
    return _stacked(OverlayStack(tuple(layers)), MOUNT_ATTR_RDONLY)


def _stacked(stack: OverlayStack, attributes: int) -> int:
    try:
        return overlay(stack, attributes)
    except OSError as error:
        raise EngineError(f"stacking layers: {error}", reason="overlay") from error


def _opened(mount_fd: int) -> int:
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)
    finally:
        os.close(mount_fd)
