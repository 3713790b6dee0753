"""Finding the user's program in its PATH, with the words that Docker's users know, and executing it."""

import errno
import os
import stat
from typing import NoReturn

from corten.errors import EngineError
from corten.oci.defaults import DEFAULT_PATH


class ProgramError(EngineError):
    """`reason` is exec-not-found (exit code 127) or exec-permission (126)."""

    kind = "invalid"


def environment(entries: list[str]) -> dict[str, str]:
    """The last of several values wins; an entry without `=` is dropped, as runc does."""
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in pairs if equals and name}


def find_program(name: str, path: str | None) -> str:
    """The file to execute. A name with a slash is taken as it is; others are looked for in `path`, where only absolute folders count."""
    if "/" in name:
        _check(name, name)
        return name
    refused: ProgramError | None = None
    for folder in (DEFAULT_PATH if path is None else path).split(":"):
        if not folder.startswith("/"):
            continue
        candidate = f"{folder}/{name}"
        try:
            _check(candidate, name)
            return candidate
        except ProgramError as e:
            refused = e if e.reason == "exec-permission" else refused
    if refused is not None:
        raise refused
    raise ProgramError(f'exec: "{name}": executable file not found in $PATH', reason="exec-not-found")


def _check(path: str, name: str) -> None:
    try:
        status = os.stat(path)
    except OSError as e:
        raise _refused(name, f"stat {path}: ", e) from e
    if stat.S_ISDIR(status.st_mode):
        raise ProgramError(f'exec: "{name}": is a directory: permission denied', reason="exec-permission")
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.X_OK, effective_ids=True):
        raise ProgramError(f'exec: "{name}": permission denied', reason="exec-permission")


def execute(program: str, args: list[str], env: dict[str, str]) -> NoReturn:
    """What only the kernel finds wrong (another machine's format, a missing interpreter) is the program's own failure, as with runc."""
    try:
        os.execve(program, args, env)
    except OSError as e:
        try:
            os.write(2, f"exec {program}: {(e.strerror or '').lower()}\n".encode(errors="surrogateescape"))
        finally:
            os._exit(255)
    except ValueError as e:  # a null byte
        raise ProgramError(f"exec {program}: invalid argument: {e}", reason="exec-permission") from e
    raise AssertionError("execve came back")


def _refused(name: str, prefix: str, error: OSError) -> ProgramError:
    text = (error.strerror or "").lower()
    reason = "exec-not-found" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "exec-permission"
    return ProgramError(f'exec: "{name}": {prefix}{text}', reason=reason)
