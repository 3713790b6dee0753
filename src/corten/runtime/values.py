"""The values that go into and out of the runtime's calls."""

from typing import Any, NamedTuple, TypedDict

Spec = dict[str, Any]
"""A container's config.json (OCI runtime-spec 1.2), as parsed JSON."""
ProcessSpec = dict[str, Any]
"""The `process` object of a config.json."""


class RootMount(TypedDict):
    """An OCI mount without destination. It is mounted at `root.path` inside the new mount namespace: the host never sees it.

    Overlay options may say `lowerdir+=PATH` per layer (top first) or one `lowerdir=A:B:C`.
    """

    type: str
    source: str
    options: list[str]


class Stdio(NamedTuple):
    """What becomes fds 0, 1 and 2. They stay the caller's, who closes them.

    With `terminal` the three are not looked at: the process gets a new terminal of its own, of `height` × `width` characters
    (0 = unset), and the caller its master. `preserved` become fds 3, 4, ... in the process.
    """

    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    terminal: bool = False
    height: int = 0
    width: int = 0
    preserved: tuple[int, ...] = ()


class CreateOptions(NamedTuple):
    """`no_pivot`: chroot in place of pivot_root (a root file system that is the initramfs).

    `wait_on_socket`: the new process waits on a socket in its state directory, so that another process than the creator may start
    it; without it the wish to start comes only through `Created.start`.
    """

    root_mounts: tuple[RootMount, ...] = ()
    no_pivot: bool = False
    new_keyring: bool = True
    wait_on_socket: bool = False


class SeccompFilter(NamedTuple):
    """A compiled filter; `listener` is the socket that gets its notifications, "" for none."""

    program: bytes
    flags: int
    listener: str = ""
    metadata: str = ""


class Process(NamedTuple):
    """A process in a container. Both fds are the caller's; so is reaping it (it is the caller's child).

    `console_fd` is the master of its terminal, None without one. `warnings` are sentences about what this machine could not do.
    """

    pid: int
    pidfd: int
    console_fd: int | None
    warnings: tuple[str, ...] = ()
