"""Runs a body in a forked child, for tests that change what belongs to a whole process: namespaces, root, capabilities, umask."""

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ChildFailed(AssertionError):
    """The body raised, or its process died. The message holds the child's traceback."""


def forked(body: Callable[[], T]) -> T:
    """What `body` returns (it must pickle). Raises ChildFailed. The child never returns into the test session."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _report(body, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if not data:
        raise ChildFailed(f"the child ended without a word: {describe_status(status)}")
    failure, value = pickle.loads(data)
    if failure:
        raise ChildFailed(failure)
    result: T = value
    return result


def _report(body: Callable[[], Any], writing: int) -> None:
    try:
        try:
            outcome = pickle.dumps((None, body()))
        except BaseException:  # noqa: BLE001 - the parent raises it
            outcome = pickle.dumps((traceback.format_exc(), None))
        view = memoryview(outcome)
        while view:
            view = view[os.write(writing, view) :]
    finally:
        os._exit(0)


def describe_status(status: int) -> str:
    """A waitpid status in words."""
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
