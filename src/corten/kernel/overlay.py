"""Stacks of directories as one tree: overlayfs as a detached mount, on every kernel from 5.10.

From 6.7 layers are appended one by one (`lowerdir+`). Before, all of them stand in one string, which fsconfig(2) cuts at 255 bytes and
mount(2) at a page: they are named by descriptor ("/proc/self/fd/17"), so that neither their paths' lengths nor commas and colons in
them matter, mounted in a mount namespace that nobody else sees, and the mount is cloned from there (open_tree(2)).
"""

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from typing import NamedTuple

from corten.kernel.mount import (
    AT_FDCWD,
    MNT_DETACH,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_RDONLY,
    OPEN_TREE_CLONE,
    FsContext,
    mount,
    open_tree,
    umount2,
)
from corten.kernel.namespaces import CLONE_NEWNS, unshare

_POINT = "/proc"
"""Where the older way mounts for a moment: always there, always a mount of its own, and what `/proc/self/fd` means is resolved before."""


class OverlayStack(NamedTuple):
    """`lower` top first. `upper` and `work` are both given, or neither. `others` are further options ("volatile", "userxattr")."""

    lower: tuple[str, ...]
    upper: str = ""
    work: str = ""
    others: tuple[str, ...] = ()


def overlay(stack: OverlayStack, attributes: int = 0, *, own_namespace: bool = False) -> int:
    """The fd of a detached mount, the caller's to place and close. `attributes` is 0 or MOUNT_ATTR_RDONLY.

    `own_namespace` says that nobody else sees the caller's mount namespace; without it older kernels' mount is made in a thread with one
    of its own. A directory that comes twice is stacked once, in its upper place: overlayfs refuses it otherwise (ELOOP), and what is in
    both places is seen in the upper one only. Raises OSError.
    """
    stack = stack._replace(lower=tuple(dict.fromkeys(stack.lower)))
    if appends_layers():
        return _appended(stack, attributes)
    return _mounted(stack, attributes) if own_namespace else _in_thread(stack, attributes)


def parse_overlay_options(options: Sequence[str]) -> OverlayStack:
    """From the options of an OCI mount: `lowerdir+=PATH` once per layer or one `lowerdir=A:B:C`, `upperdir=`, `workdir=`, and others."""
    lower: list[str] = []
    named: dict[str, str] = {}
    others: list[str] = []
    for option in options:
        key, _, value = option.partition("=")
        if key == "lowerdir+":
            lower.append(value)
        elif key == "lowerdir":
            lower += value.split(":")
        elif key in ("upperdir", "workdir"):
            named[key] = value
        elif option not in ("rw", "ro", "defaults"):
            others.append(option)
    return OverlayStack(tuple(lower), named.get("upperdir", ""), named.get("workdir", ""), tuple(others))


@cache
def appends_layers() -> bool:
    """Whether overlayfs knows `lowerdir+` (Linux 6.7). Before 6.5 it takes every key here and judges later: then a key that nobody
    knows is accepted too."""
    try:
        with FsContext("overlay") as context:
            return _takes(context, "lowerdir+") and not _takes(context, "corten-unknown")
    except OSError:
        return False


def _takes(context: FsContext, key: str) -> bool:
    try:
        context.set_string(key, "/")
    except OSError:
        return False
    return True


def _appended(stack: OverlayStack, attributes: int) -> int:
    with FsContext("overlay") as context:
        context.set_string("source", "overlay")
        for path in stack.lower:
            context.set_string("lowerdir+", path)
        if stack.upper:
            context.set_string("upperdir", stack.upper)
            context.set_string("workdir", stack.work)
        for option in stack.others:
            context.set_option(option)
        context.create()
        return context.mount(attributes)


def _mounted(stack: OverlayStack, attributes: int) -> int:
    """By mount(2) and open_tree(2), where nobody else sees it."""
    with ExitStack() as opened:

        def by_fd(path: str) -> str:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.callback(os.close, fd)
            return f"/proc/self/fd/{fd}"

        options = [f"lowerdir={':'.join(map(by_fd, stack.lower))}"]
        if stack.upper:
            options += [f"upperdir={by_fd(stack.upper)}", f"workdir={by_fd(stack.work)}"]
        mount(None, _POINT, None, MS_PRIVATE)
        mount("overlay", _POINT, "overlay", MS_RDONLY if attributes & MOUNT_ATTR_RDONLY else 0, ",".join((*options, *stack.others)))
    try:
        return open_tree(AT_FDCWD, _POINT, OPEN_TREE_CLONE)
    finally:
        umount2(_POINT, MNT_DETACH)


def _in_thread(stack: OverlayStack, attributes: int) -> int:
    outcome: list[int | OSError] = []

    def body() -> None:
        try:
            unshare(CLONE_NEWNS)
            outcome.append(_mounted(stack, attributes))
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=body, name="overlay")
    thread.start()
    thread.join()
    (result,) = outcome
    if isinstance(result, OSError):
        raise result
    return result
