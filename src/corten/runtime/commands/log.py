"""Where the runtime's errors go: stderr for people, and the --log file in the form that podman and containerd read back."""

import json
import os
import sys
import time

from corten.errors import Invalid


class Log:
    """`path` "" means stderr alone. `json_format` as --log-format json; else logfmt, as runc's."""

    def __init__(self, path: str, json_format: bool) -> None:
        self._path = path.removeprefix("file:")
        self._json = json_format

    def check(self) -> None:
        """Raises Invalid when the file cannot be opened."""
        try:
            self._append(b"")
        except OSError as e:
            raise Invalid(f"unable to open the log file {self._path}: {e.strerror}", reason="bad-log") from None

    def error(self, message: str, hint: str | None = None) -> None:
        sys.stderr.write(f"corten-runtime: {message}\n" + (f"hint: {hint}\n" if hint else ""))
        self._write("error", message)

    def warning(self, message: str) -> None:
        if self._path:
            self._write("warning", message)
        else:
            sys.stderr.write(f"corten-runtime: warning: {message}\n")

    def _write(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._json:
            line = json.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f"time={json.dumps(now)} level={level} msg={json.dumps(message)}"
        self._append(line.encode() + b"\n")

    def _append(self, line: bytes) -> None:
        if not self._path or self._path.startswith(("syslog:", "journald:")):
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)
