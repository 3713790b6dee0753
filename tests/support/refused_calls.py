"""A fault injector: system calls that answer as an older kernel does, for this process and all that it starts.

A seccomp filter says no, so the code under test is what runs in earnest. It cannot be taken back: use it in a forked child, or start a
program under it: `python -m tests.support.refused_calls PROGRAM ARGS…` runs one as on Linux 5.10.

A filter sees numbers and flags, not strings: what an old overlayfs or nftables refuses is tried in virtual machines (tests/machines).
"""

import errno
import os
import sys
from typing import Any

from corten.kernel.seccomp import compile_profile, install
from corten.kernel.syscalls import syscall_table

_LAST_OF_5_10 = 440  # process_madvise


def refuse(*names: str, error: int = errno.ENOSYS) -> None:
    """Calls of these names fail with `error` from now on."""
    _install({"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": error})


def become_linux_5_10() -> None:
    """Every later call is missing, and flags that calls learnt later are refused."""
    newer = [name for name, number in syscall_table(os.uname().machine).items() if number > _LAST_OF_5_10]
    any_flag = {"index": 2, "value": 0, "op": "SCMP_CMP_NE"}  # CLOSE_RANGE_CLOEXEC and CLOSE_RANGE_UNSHARE
    _install(
        {"names": newer, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        {"names": ["close_range"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EINVAL, "args": [any_flag]},
    )


def _install(*rules: dict[str, Any]) -> None:
    install(compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules)}, os.uname().machine))


if __name__ == "__main__":
    become_linux_5_10()
    os.execvp(sys.argv[1], sys.argv[1:])
