"""`docker manifest`, which the stock CLI does without an engine, on what we pushed: the list that it makes, we pull."""

import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.daemon import Daemon
from tests.support.real_registry import RealRegistry
from tests.support.remote_images import layer_tar

pytestmark = pytest.mark.privileged
PORT = 5056
LIST = f"127.0.0.1:{PORT}/multi:v1"


def test_a_list_of_two_platforms(daemon: Daemon, docker_program: str, tmp_path: Path) -> None:
    def docker(*words: str) -> str:
        command = ["nsenter", f"--net=/proc/{daemon.namespace_pid}/ns/net", docker_program, *words]
        environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": daemon.host, "DOCKER_CLI_EXPERIMENTAL": "enabled"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    with RealRegistry(tmp_path, PORT, tmp_path / "registry", "127.0.0.1").running(daemon.namespace_pid):
        names = {arch: f"127.0.0.1:{PORT}/app-{arch}:v1" for arch in ("amd64", "arm64")}
        for arch, name in names.items():
            repository = quote(name.removesuffix(":v1"), safe="")
            tar = layer_tar({"arch": arch.encode()})
            daemon.call("POST", f"/images/create?fromSrc=-&repo={repository}&tag=v1&platform=linux/{arch}", tar).ok()
            docker("push", "-q", name)
        docker("manifest", "create", "--insecure", LIST, *names.values())
        docker("manifest", "annotate", LIST, names["arm64"], "--os", "linux", "--arch", "arm64", "--variant", "v8")
        assert '"architecture": "arm64"' in docker("manifest", "inspect", "--insecure", LIST)
        assert "sha256:" in docker("manifest", "push", "--insecure", LIST)
        for arch in names:
            docker("pull", "-q", "--platform", f"linux/{arch}", LIST)
            assert docker("image", "inspect", "-f", "{{.Architecture}}", LIST) == f"{arch}\n"
        docker("manifest", "rm", LIST)
