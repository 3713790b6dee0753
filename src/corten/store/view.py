"""A stack of layers as one tree that is mounted nowhere: a descriptor of its root.

The overlay hangs off the descriptor alone (fsmount(2), no move_mount): nothing to unmount, nothing to leak, no namespace changed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from corten.errors import EngineError
from corten.kernel.mount import MOUNT_ATTR_RDONLY, FsContext


@contextmanager
def opened_view(layers: Sequence[str]) -> Iterator[int]:
    """A directory fd at the root of `layers` (directories, top first; whiteouts in overlayfs's form), closed on leaving.

    A single directory is opened as it is. Raises EngineError when the kernel refuses the stack.
    """
    if len(layers) == 1:
        fd = os.open(layers[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    else:
        fd = _stacked([f"lowerdir+={layer}" for layer in layers], MOUNT_ATTR_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_writable(options: Sequence[str]) -> Iterator[int]:
    """A directory fd at the root of a writable overlay with these mount options (as `Snapshots.mounts` gives them)."""
    fd = _stacked(options, 0)
    try:
        yield fd
    finally:
        os.close(fd)


def stacked_mount(options: Sequence[str], attributes: int) -> int:
    """The fd of a detached overlay mount, the caller's to place and close. Raises EngineError when the kernel refuses.

    A layer that comes twice is mounted once, in its upper place (see `Snapshots.mounts`).
    """
    try:
        with FsContext("overlay") as overlay:
            overlay.set_string("source", "overlay")
            for option in dict.fromkeys(options):
                overlay.set_option(option)
            overlay.create()
            return overlay.mount(attributes)
    except OSError as error:
        raise EngineError(f"stacking layers: {error}", reason="overlay") from error


def _stacked(options: Sequence[str], attributes: int) -> int:
    mount_fd = stacked_mount(options, attributes)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount_fd)
    finally:
        os.close(mount_fd)
