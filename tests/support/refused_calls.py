"""A fault injector: system calls that answer as an older kernel does, for this process and all that it starts.

A seccomp filter says no, so the code under test is what runs in earnest. It cannot be taken back: use it in a forked child.
"""

import errno
import os
from collections.abc import Sequence
from typing import Any

from corten.kernel.seccomp import compile_profile, install


def refuse(*names: str, error: int = errno.ENOSYS, args: Sequence[dict[str, Any]] = ()) -> None:
    """Calls of these names (and arguments, in the words of a seccomp profile) fail with `error` from now on."""
    rule = {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(args)}
    program = compile_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}, os.uname().machine)
    install(program)
