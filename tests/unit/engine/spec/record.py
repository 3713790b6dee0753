"""Writes golden.json anew: starts each case on a real Docker and takes the config.json that it gave to runc.

    python -m tests.unit.engine.spec.record SOCKET BUNDLES IMAGE

SOCKET is that Docker's, BUNDLES its folder of bundles as seen from here, IMAGE a local image that has `sleep` and the passwd and
group texts of `cases`.
"""

import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any

from tests.unit.engine.spec.cases import BODIES, CONTAINER_ID, GOLDEN


class Docker(http.client.HTTPConnection):
    """The Engine API on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        self.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {text.decode()}")
        found: dict[str, Any] = json.loads(text) if text else {}
        return found


def record(docker: Docker, bundles: Path, image: str) -> dict[str, Any]:
    root = docker.call("GET", "/info")["DockerRootDir"]
    found = {}
    for name, body in BODIES.items():
        container_id = docker.call("POST", "/containers/create", {"Image": image, "Cmd": ["sleep", "1000"]} | body)["Id"]
        try:
            docker.call("POST", f"/containers/{container_id}/start")
            text = (bundles / container_id / "config.json").read_text()
        finally:
            docker.call("DELETE", f"/containers/{container_id}?force=1&v=1")
        text = text.replace(container_id, CONTAINER_ID).replace(container_id[:12], CONTAINER_ID[:12])
        spec = json.loads(text.replace(f"{root}/containers/{CONTAINER_ID}", "/files"))
        spec["root"]["path"] = "rootfs"
        if name != "plain":
            spec["linux"].pop("seccomp", None)
        if name == "privileged":
            spec["linux"].pop("devices")  # that machine's own
        found[name] = spec
    return found


if __name__ == "__main__":
    recorded = record(Docker(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    lines = (f"{json.dumps(name)}: {json.dumps(spec, sort_keys=True, separators=(',', ':'))}" for name, spec in recorded.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
