"""linux.sysctl, written in the container's namespaces."""

import errno
import os

from corten.errors import EngineError
from corten.runtime.config.sysctl import normalized


def write_sysctls(sysctls: dict[str, str]) -> None:
    """In the container's namespaces but before its root: the host's /proc/sys shows a process its own namespaces' values."""
    for key, value in sysctls.items():
        path = "/proc/sys/" + normalized(key).translate(str.maketrans("./", "/."))
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        except OSError as e:
            hint = "is /proc/sys read-only here?" if e.errno == errno.EROFS else None
            raise EngineError(f"setting sysctl {key}={value}: {e}", reason="sysctl-failed", hint=hint) from e
