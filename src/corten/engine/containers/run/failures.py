"""Errors of the runtime as Docker's clients expect them: exit codes 125, 126 and 127, and the words they look for."""

from corten.errors import EngineError, Invalid

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_STARTED = 128
_CODES = {"exec-not-found": NOT_FOUND, "exec-permission": NOT_EXECUTABLE, "bad-cwd": NOT_FOUND}
_FROM_THE_RUNTIME = frozenset(("exec-not-found", "exec-permission", "bad-cwd", "exec-format"))

_START = "failed to create task for container: OCI runtime create failed: unable to start container process: error during container init: "
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "


def start_failure(error: EngineError) -> tuple[int, EngineError]:
    """The exit code that a container which could not start shows, and the error for the user."""
    return _failure(error, _START)


def exec_failure(error: EngineError) -> tuple[int, EngineError]:
    return _failure(error, _EXEC)


def _failure(error: EngineError, prefix: str) -> tuple[int, EngineError]:
    code = _CODES.get(error.reason, NOT_STARTED)
    if error.reason not in _FROM_THE_RUNTIME:
        return code, error
    # The command is the user's: a 400, as Docker answers for these.
    return code, Invalid(prefix + error.message, reason=error.reason, hint=error.hint)
