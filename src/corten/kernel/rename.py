"""renameat2(2), for what rename(2) cannot do."""

import os

from corten.kernel.libc import by_machine, check, syscall

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_SYS_RENAMEAT2 = by_machine(316, 276)
_AT_FDCWD = -100


def exchange(one: str, other: str) -> None:
    """Each takes the other's name, at once. Both must exist, on one file system."""
    check(
        syscall(_SYS_RENAMEAT2, _AT_FDCWD, os.fsencode(one) + b"\0", _AT_FDCWD, os.fsencode(other) + b"\0", RENAME_EXCHANGE),
        "renameat2",
        one,
    )
