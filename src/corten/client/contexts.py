"""Docker's context store: named engines under `~/.docker/contexts`, one folder per context, named by the sha256 of its name."""

import json
import os
from collections.abc import Mapping
from typing import Any

DEFAULT = "default"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


class ContextMissing(Exception):
    """There is no such context; the text is Docker's."""


class Context:
    """A named engine. `tls` maps `ca.pem`, `cert.pem`, `key.pem` to paths, as far as they exist."""

    __slots__ = ("description", "host", "name", "skip_verify", "tls")

    def __init__(
        self, name: str, host: str, *, description: str = "", skip_verify: bool = False, tls: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.host = host
        self.description = description
        self.skip_verify = skip_verify
        self.tls = dict(tls or {})

    def metadata(self) -> dict[str, Any]:
        """The content of meta.json."""
        about = {"Description": self.description} if self.description else {}
        endpoint = {"Host": self.host, "SkipTLSVerify": self.skip_verify}
        return {"Name": self.name, "Metadata": about, "Endpoints": {"docker": endpoint}}


class ContextStore:
    """Contexts on disk. `default` is no entry of it: it is what the environment says."""

    def __init__(self, config_folder: str) -> None:
        self.folder = os.path.join(config_folder, "contexts")

    def meta_folder(self, name: str) -> str:
        return os.path.join(self.folder, "meta", _digest(name))

    def tls_folder(self, name: str) -> str:
        return os.path.join(self.folder, "tls", _digest(name))

    def get(self, name: str) -> Context:
        """Raises ContextMissing."""
        path = os.path.join(self.meta_folder(name), "meta.json")
        try:
            with open(path, "rb") as file:
                content = json.load(file)
        except FileNotFoundError:
            raise ContextMissing(f'context "{name}": context not found: open {path}: no such file or directory') from None
        return self._context(name, content)

    def names(self) -> list[str]:
        root = os.path.join(self.folder, "meta")
        try:
            folders = os.listdir(root)
        except FileNotFoundError:
            return []
        found = []
        for folder in folders:
            try:
                with open(os.path.join(root, folder, "meta.json"), "rb") as file:
                    found.append(str(json.load(file)["Name"]))
            except (OSError, ValueError, KeyError):
                continue  # half a context, as Docker leaves one after a crash: it cannot be named, so it cannot be used
        return sorted(found)

    def save(self, context: Context, pem: Mapping[str, bytes] | None = None) -> None:
        """Writes the context; `pem` are the contents of TLS files by name, None keeps those that are there."""
        folder = self.meta_folder(context.name)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        _replace(os.path.join(folder, "meta.json"), json.dumps(context.metadata(), separators=(",", ":")).encode(), 0o644)
        if pem:
            target = os.path.join(self.tls_folder(context.name), "docker")
            os.makedirs(target, mode=0o700, exist_ok=True)
            for name, content in pem.items():
                _replace(os.path.join(target, name), content, 0o600)

    def remove(self, name: str) -> None:
        """Raises ContextMissing."""
        import shutil

        if not os.path.isdir(self.meta_folder(name)):
            raise ContextMissing(f'context "{name}" does not exist')
        for folder in (self.meta_folder(name), self.tls_folder(name)):
            if os.path.isdir(folder):
                shutil.rmtree(folder)

    def _context(self, name: str, content: dict[str, Any]) -> Context:
        endpoint = content.get("Endpoints", {}).get("docker", {})
        folder = os.path.join(self.tls_folder(name), "docker")
        tls = {n: os.path.join(folder, n) for n in TLS_FILES if os.path.exists(os.path.join(folder, n))}
        about = content.get("Metadata", {}).get("Description", "")
        skip = bool(endpoint.get("SkipTLSVerify"))
        return Context(name, endpoint.get("Host", ""), description=about, skip_verify=skip, tls=tls)


def _digest(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _replace(path: str, content: bytes, mode: int) -> None:
    part = f"{path}.{os.getpid()}.part"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(fd, "wb") as out:
        out.write(content)
    os.replace(part, path)
