"""What is done to a container that exists: signals, freezing, limits, listing its processes, removal."""

import errno
import os
import signal
import time
from typing import Any

from corten.errors import Conflict, EngineError, Invalid
from corten.kernel.cgroup import Cgroup
from corten.kernel.process import pidfd_open, pidfd_send_signal
from corten.runtime.create import oci_state
from corten.runtime.hooks import run_hooks
from corten.runtime.state import SOCKET_NAME, ContainerState, Status, is_alive, remove_state, state_directory

_PATIENCE = 10.0


def status_of(state: ContainerState, state_root: str, cgroup: Cgroup | None) -> Status:
    """Read off the process; `created` while its socket waits for somebody to start it."""
    if not is_alive(state):
        return "stopped"
    if cgroup is not None and is_frozen(cgroup):
        return "paused"
    return "created" if os.path.exists(os.path.join(state_directory(state_root, state["id"]), SOCKET_NAME)) else "running"


def is_frozen(cgroup: Cgroup) -> bool:
    """By v2's cgroup.freeze or v1's freezer.state."""
    paths = cgroup.paths()
    for key, name, frozen in (("", "cgroup.freeze", "1"), ("freezer", "freezer.state", "FROZEN")):
        if key in paths:
            try:
                with open(os.path.join(paths[key], name), encoding="ascii") as f:
                    return f.read().strip() == frozen
            except FileNotFoundError:
                continue
    return False


def kill(state: ContainerState, sig: int, *, cgroup: Cgroup | None = None) -> None:
    """Signal the init, or with `cgroup` every process in it. Conflict when there is none to signal."""
    if cgroup is not None:
        cgroup.kill_all(sig)
        return
    try:
        pidfd = pidfd_open(state["pid"])
    except ProcessLookupError:
        raise Conflict("container not running", reason="not-running") from None
    try:
        if not is_alive(state):
            raise Conflict("container not running", reason="not-running")
        pidfd_send_signal(pidfd, sig)
    finally:
        os.close(pidfd)


def update(cgroup: Cgroup, resources: dict[str, Any]) -> None:
    """Change limits; what `resources` (linux.resources) leaves out stays."""
    try:
        cgroup.apply(resources)
    except OSError as e:
        kind = Invalid if e.errno in (errno.EINVAL, errno.ERANGE) else EngineError
        raise kind(f"updating the limits: {e}", reason="update-failed") from e
    except ValueError as e:  # what this version of control groups cannot express
        raise Invalid(f"updating the limits: {e}", reason="update-failed") from e


def delete(state: ContainerState, state_root: str, cgroup: Cgroup | None, *, force: bool) -> None:
    """Remove cgroup and state, then run the poststop hooks (their failures are passed over, as the spec has it).

    Waits some 20-40 ms for the cgroup to empty: it belongs behind an answer. Conflict for a live container unless `force`.
    """
    if is_alive(state):
        if not force and status_of(state, state_root, cgroup) != "created":
            raise Conflict(
                f"cannot delete container {state['id']} that is not stopped", reason="not-stopped", hint="kill it first, or use --force"
            )
        _end(state, cgroup)
    if cgroup is not None:
        if state["namespaces"].get("pid") != "":  # no pid namespace of its own that died with the init: others may be left
            cgroup.kill_all()
        cgroup.delete()
    remove_state(state_root, state["id"])
    for hook in state["hooks"].get("poststop") or ():
        try:
            run_hooks("poststop", [hook], oci_state(state, "stopped"))
        except EngineError:
            pass


def _end(state: ContainerState, cgroup: Cgroup | None) -> None:
    """SIGKILL to all, and wait until the init is no more than a zombie."""
    if cgroup is not None and is_frozen(cgroup):
        kill(state, signal.SIGKILL)
        cgroup.thaw()
    if cgroup is not None:
        cgroup.kill_all()
    deadline = time.monotonic() + _PATIENCE
    while is_alive(state):
        try:
            kill(state, signal.SIGKILL)
        except Conflict:
            return
        if time.monotonic() > deadline:
            raise EngineError(f"container {state['id']} does not die", reason="kill-failed")
        time.sleep(0.005)
