"""AppArmor profile and SELinux label of the program: written to /proc/self/attr, through files opened in the host's own /proc.

The container's /proc could have been arranged to lead the write elsewhere (CVE-2025-52881), so the files are opened before the
root changes and kept until just before exec.
"""

import os
from typing import Any

from corten.errors import EngineError


class Labels:
    """What is still to be written: (fd, text)."""

    def __init__(self, pending: list[tuple[int, str]]) -> None:
        self._pending = pending

    def write(self) -> None:
        for fd, text in self._pending:
            try:
                os.write(fd, text.encode())
            except OSError as e:
                raise EngineError(f"setting the security label {text!r}: {e}", reason="label-failed") from e
            os.close(fd)
        self._pending = []

    def fds(self) -> list[int]:
        return [fd for fd, _ in self._pending]


def open_labels(process: dict[str, Any]) -> Labels:
    """An error when a label is asked for that this kernel does not do."""
    pending = []
    if process.get("apparmorProfile"):
        if not os.path.exists("/sys/kernel/security/apparmor") and not os.path.exists("/sys/module/apparmor"):
            raise EngineError(f"apparmor profile {process['apparmorProfile']!r}: this kernel has no AppArmor", reason="no-apparmor")
        pending.append((_open("/proc/self/attr/apparmor/exec", "/proc/self/attr/exec"), f"exec {process['apparmorProfile']}"))
    if process.get("selinuxLabel"):
        if not os.path.exists("/sys/fs/selinux/enforce"):
            raise EngineError(f"selinux label {process['selinuxLabel']!r}: this kernel has no SELinux", reason="no-selinux")
        pending.append((_open("/proc/self/attr/exec"), process["selinuxLabel"]))
    return Labels(pending)


def _open(*paths: str) -> int:
    return os.open(next(path for path in paths if os.path.exists(path)), os.O_WRONLY | os.O_CLOEXEC)
