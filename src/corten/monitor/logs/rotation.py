"""The files of one log: `path` is live, `path.1` the one before it, up to `path.N`; all but the live one may be gzipped (`.gz`).

Only the container's monitor renames them, so nothing here locks. Killed half-way, a rotation leaves a gap in the numbers, which the
next one closes: no file is dropped for it. A reader opens newest first; files only ever move to higher numbers, so it misses none.
"""

import os
from collections.abc import Iterator

DEFAULT_MAX_SIZE = 10_000_000
DEFAULT_MAX_FILE = 10


def rotated(path: str, number: int) -> str | None:
    """The name under which rotated file `number` exists now."""
    for name in (f"{path}.{number}", f"{path}.{number}.gz"):
        if os.path.exists(name):
            return name
    return None


def rotate(path: str, max_file: int) -> None:
    """Move the live file (if there is one) out of the way, dropping the oldest when `max_file` are there."""
    if max_file < 2:
        _remove(path)
        return
    names = []
    for number in range(1, max_file):
        name = rotated(path, number)
        if name is None:
            break
        names.append(name)
    if len(names) == max_file - 1:
        _remove(names.pop())
    for number in range(len(names), 0, -1):
        suffix = ".gz" if names[number - 1].endswith(".gz") else ""
        os.rename(names[number - 1], f"{path}.{number + 1}{suffix}")
    try:
        os.rename(path, f"{path}.1")
    except FileNotFoundError:
        pass


def all_files(path: str, max_file: int) -> Iterator[str]:
    """Every file of the log there is, newest first, whatever number of files it was once allowed."""
    if os.path.exists(path):
        yield path
    number = 1
    while (name := rotated(path, number)) is not None or number < max_file:
        if name is not None:
            yield name
        number += 1


def compressed_name(path: str, inode: int) -> str:
    """Where the gzipped copy of the rotated file `inode` is made."""
    return f"{path}.{inode}.gz.tmp"


def swap_compressed(path: str, inode: int, max_file: int) -> None:
    """Put the finished gzipped copy in the place of the rotated file it was made from, or drop it if that is gone."""
    made = compressed_name(path, inode)
    for number in range(1, max_file):
        plain = f"{path}.{number}"
        try:
            if os.stat(plain).st_ino == inode:
                os.rename(made, f"{plain}.gz")
                os.unlink(plain)
                return
        except FileNotFoundError:
            continue
    _remove(made)


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
