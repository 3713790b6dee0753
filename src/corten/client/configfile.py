"""The CLI's configuration, shared with Docker's: `config.json` in `~/.docker` (or `$DOCKER_CONFIG`, `--config`).

Docker writes the file too, so keys that we do not know are kept when we write, and the file is replaced, never edited in place.
"""

import json
import os
from collections.abc import Mapping
from typing import Any


def default_folder(environ: Mapping[str, str]) -> str:
    return environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".docker")


class ConfigFile:
    """Read when first asked. A missing file is an empty one; a broken one is reported once through `complaint` and counts as empty."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.complaint = ""
        self._content: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        return os.path.join(self.folder, "config.json")

    def content(self) -> dict[str, Any]:
        if self._content is None:
            self._content = self._read()
        return self._content

    def text(self, key: str) -> str:
        """A string setting, or "" when it is missing or of another type."""
        value = self.content().get(key)
        return value if isinstance(value, str) else ""

    def table(self, key: str) -> dict[str, Any]:
        value = self.content().get(key)
        return value if isinstance(value, dict) else {}

    def save(self, changes: Mapping[str, Any]) -> None:
        """Writes the file anew with `changes`; a key whose value is None is removed. Mode 0600 when the file is new."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        merged = {k: v for k, v in {**self.content(), **changes}.items() if v is not None}
        target = os.path.realpath(self.path)
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o600
        part = f"{target}.{os.getpid()}.part"
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(fd, "w", encoding="utf-8") as out:
            json.dump(merged, out, indent="\t", ensure_ascii=False)
            out.flush()
            os.fsync(fd)
        os.replace(part, target)
        self._content = merged

    def _read(self) -> dict[str, Any]:
        try:
            with open(self.path, "rb") as file:
                content = json.loads(file.read() or b"{}")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self.complaint = f"WARNING: Error loading config file: {self.path}: {error}"
            return {}
        return content if isinstance(content, dict) else {}
