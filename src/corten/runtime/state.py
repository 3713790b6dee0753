"""What the runtime keeps of a container on disk: STATE_ROOT/<id>/state.json, replaced whole at each change.

A status is never stored: it is read off the process (alive, started, frozen), so that it is true after any crash.
"""

import json
import os
from typing import Any, Literal, TypedDict

from corten.errors import Conflict, Invalid, NotFound

OCI_VERSION = "1.2.1"
SOCKET_NAME = "init.sock"
"""Where a created container's process waits to be started, in its state directory; gone once it was."""
Status = Literal["creating", "created", "running", "paused", "stopped"]
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


class ContainerState(TypedDict):
    """`pid_start` (clock ticks since boot) tells the init from a later process of the same number; `created` is ns since the epoch.

    `cgroup` is linux.cgroupsPath as given to `open_cgroup` with `manager`; "" where the container has none of its own.
    `seccomp` are the flags, listener and metadata of the filter beside it. `process` is that of the config without its args: what a
    process that joins later inherits. `namespaces`: kind -> path joined or "".
    """

    id: str
    pid: int
    pid_start: int
    bundle: str
    rootfs: str
    created: int
    annotations: dict[str, str]
    manager: str
    cgroup: str
    namespaces: dict[str, str]
    process: dict[str, Any]
    hooks: dict[str, Any]
    seccomp: list[Any] | None


def check_id(container_id: str) -> str:
    """The id itself, fit for a file name; else Invalid, in runc's words."""
    if not container_id or len(container_id) > 1024 or container_id in (".", "..") or not _ID_CHARACTERS.issuperset(container_id):
        raise Invalid(f"invalid container ID format: {container_id!r}", reason="bad-container-id", hint="use letters, digits and _+-.")
    return container_id


def state_directory(state_root: str, container_id: str) -> str:
    return os.path.join(state_root, check_id(container_id))


def make_state_directory(state_root: str, container_id: str) -> str:
    """A fresh directory, 0700. Conflict when the id is taken."""
    path = state_directory(state_root, container_id)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        raise Conflict(f"container with given ID already exists: {container_id}", reason="container-exists") from None
    except FileNotFoundError:
        os.makedirs(state_root, 0o700, exist_ok=True)
        os.mkdir(path, 0o700)
    return path


def save_state(state_root: str, state: ContainerState) -> None:
    """Lives on a tmpfs as a rule and means nothing after a reboot: replaced by rename, not synced."""
    path = os.path.join(state_root, state["id"], "state.json")
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(state).encode())
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)


def load_state(state_root: str, container_id: str) -> ContainerState:
    """NotFound when there is no such container (or its creation has not come so far)."""
    path = os.path.join(state_directory(state_root, container_id), "state.json")
    try:
        with open(path, "rb") as f:
            state: ContainerState = json.loads(f.read())
    except FileNotFoundError:
        raise NotFound(f"container {container_id} does not exist", reason="no-such-container") from None
    return state


def list_ids(state_root: str) -> list[str]:
    try:
        names = os.listdir(state_root)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if os.path.exists(os.path.join(state_root, name, "state.json")))


def remove_state(state_root: str, container_id: str) -> None:
    """Forget the container's directory; a missing one is fine."""
    path = state_directory(state_root, container_id)
    try:
        for name in os.listdir(path):
            os.unlink(os.path.join(path, name))
        os.rmdir(path)
    except FileNotFoundError:
        pass


def process_start_time(pid: int) -> tuple[int, str]:
    """(start time in clock ticks since boot, state letter) of a process; (0, "X") when there is none: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, "X"
    return int(fields[19]), fields[0].decode()


def is_alive(state: ContainerState) -> bool:
    """Whether the container's init is there and no zombie."""
    start, letter = process_start_time(state["pid"])
    return start == state["pid_start"] and letter not in "XZ"
