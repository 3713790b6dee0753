"""OCI hooks: programs run at named moments with the container's state on stdin."""

import json
import os
import select
import signal
from typing import Any

from corten.errors import EngineError
from corten.kernel.process import pidfd_open, pidfd_send_signal


def run_hooks(kind: str, hooks: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """Run each in turn. The first that fails, or outlives its timeout (seconds; it is killed then), is an EngineError.

    What a hook writes to stderr is part of the message. One without `env` gets this process's environment, as with runc; inside the
    container (startContainer) it gets none, for that is the engine's own.
    """
    document = json.dumps(state).encode()
    for hook in hooks:
        given = {} if kind == "startContainer" else dict(os.environ)
        status, output = _run(hook, document, given)
        if status != 0:
            told = f": {output.decode(errors='replace').strip()}" if output else ""
            how = f"timed out after {hook.get('timeout')} s" if status is None else f"exit status {status}"
            raise EngineError(f"{kind} hook {hook['path']}: {how}{told}", reason="hook-failed")


def _run(hook: dict[str, Any], document: bytes, given: dict[str, str]) -> tuple[int | None, bytes]:
    """(exit status, None after a timeout; the first kilobytes of its stderr)."""
    state_end, state_in = os.pipe2(os.O_CLOEXEC)
    errors, errors_in = os.pipe2(os.O_CLOEXEC)
    args = hook.get("args") or [hook["path"]]
    own = hook.get("env")
    env = given if own is None else dict(entry.split("=", 1) for entry in own if "=" in entry)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, state_end, 0), (os.POSIX_SPAWN_DUP2, errors_in, 1), (os.POSIX_SPAWN_DUP2, errors_in, 2)]
        try:
            pid = os.posix_spawn(hook["path"], args, env, file_actions=actions, setsigmask=(), setsigdef=(signal.SIGPIPE, signal.SIGXFSZ))
        except OSError as e:
            return 127, str(e).encode()
        finally:
            os.close(state_end)
            os.close(errors_in)
        _feed(state_in, document)
        state_in = -1
        return _await(pid, errors, hook.get("timeout"))
    finally:
        os.close(errors)
        if state_in >= 0:
            os.close(state_in)


def _feed(fd: int, document: bytes) -> None:
    """A state document fits a pipe's buffer, so this never waits; a hook need not read it."""
    try:
        os.write(fd, document)
    except BrokenPipeError:
        pass
    finally:
        os.close(fd)


def _await(pid: int, errors: int, timeout: float | None) -> tuple[int | None, bytes]:
    pidfd = pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        ended = bool(poll.poll(None if not timeout else timeout * 1000))
        if not ended:
            pidfd_send_signal(pidfd, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    os.set_blocking(errors, False)
    try:
        output = os.read(errors, 4096)
    except BlockingIOError:  # a child of the hook still holds the pipe
        output = b""
    return (status if ended else None), output
