"""Errors of the runtime as Docker's clients expect them: exit codes 125, 126 and 127, and the words they look for."""

from corten.errors import EngineError, Invalid

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_STARTED = 128
_CODES = {"exec-not-found": NOT_FOUND, "exec-permission": NOT_EXECUTABLE, "bad-cwd": NOT_FOUND}
_PROGRAM = frozenset(("exec-not-found", "exec-permission", "bad-cwd", "exec-format"))
"""The command is the user's: a 400, as Docker answers for these."""
_SETTING_UP = frozenset(
    f"{what}-failed" for what in ("cgroup", "device", "hook", "id-map", "init", "label", "mount", "namespace", "seccomp", "sysctl")
)
"""What goes wrong in the runtime on the way to the program: the same prefix, and the error's own kind."""

# Docker's own words, shim and runc included: clients look for parts of them.
_START = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
_ONTO_A_FILE = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
)


def start_failure(error: EngineError) -> tuple[int, EngineError]:
    """The exit code that a container which could not start shows, and the error for the user."""
    if error.reason == "mount-failed" and "not a directory" in error.message.lower():
        return NOT_FOUND, Invalid(_START + error.message + _ONTO_A_FILE, reason=error.reason, hint=error.hint)
    return _failure(error, _START)


def exec_failure(error: EngineError) -> tuple[int, EngineError]:
    return _failure(error, _EXEC)


def _failure(error: EngineError, prefix: str) -> tuple[int, EngineError]:
    code = _CODES.get(error.reason, NOT_STARTED)
    if error.reason in _PROGRAM:
        return code, Invalid(prefix + error.message, reason=error.reason, hint=error.hint)
    if error.reason in _SETTING_UP:
        return code, type(error)(prefix + error.message, reason=error.reason, hint=error.hint)
    return code, error
