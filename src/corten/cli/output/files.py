"""Archives to a file or to stdout. A file appears when it is complete; half a download leaves nothing behind."""

import os
from collections.abc import Callable, Iterable

from corten.cli.errors import Failure
from corten.cli.session import Session
from corten.cli.terminal.conversation import write_all


def write_stream(session: Session, path: str, pieces: Callable[[], Iterable[bytes]], *, failing: str) -> None:
    """Writes what `pieces()` yields. It is called only once the destination is known to be good. Raises Failure: `failing: why`."""
    if not path:
        if session.out.isatty():
            raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        session.out.flush()
        for piece in pieces():
            write_all(1, piece)
        return
    check_output(path, failing)
    if os.path.exists(path) and not os.path.isfile(path):
        _write(path, pieces)
        return
    part = f"{path}.{os.getpid()}.part"
    try:
        _write(part, pieces)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.unlink(part)
        raise


def _write(path: str, pieces: Callable[[], Iterable[bytes]]) -> None:
    source = pieces()
    try:
        with open(path, "wb", buffering=0) as file:
            for piece in source:
                write_all(file.fileno(), piece)
    except OSError as error:
        raise Failure(f"write {path}: {(error.strerror or str(error)).lower()}") from None


def check_output(path: str, failing: str) -> None:
    """Raises Failure when nothing can be written there."""
    folder = os.path.dirname(os.path.normpath(path))
    if folder and not os.path.exists(folder):
        raise Failure(f"{failing}: invalid output path: stat {folder}: no such file or directory")
    if os.path.isdir(path):
        raise Failure(f'{failing}: invalid output path: "{path}" must be a regular file')
