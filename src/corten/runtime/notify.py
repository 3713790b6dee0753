"""Seccomp notifications: the filter's fd goes to the agent that listens at linux.seccomp.listenerPath."""

import json
import os
import socket
from typing import Any

from corten.errors import EngineError
from corten.kernel.fds import send_message
from corten.runtime.state import OCI_VERSION


def hand_over(fd: int, notice: dict[str, Any], state: dict[str, Any]) -> None:
    """`notice` has pid, listener and metadata. The spec calls the message the container process state."""
    message = {"ociVersion": OCI_VERSION, "fds": ["seccompFd"], "pid": notice["pid"], "metadata": notice["metadata"], "state": state}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect(os.fspath(notice["listener"]))
        except OSError as e:
            raise EngineError(f"seccomp agent at {notice['listener']}: {e}", reason="no-seccomp-agent") from e
        send_message(sock, json.dumps(message).encode(), [fd])
