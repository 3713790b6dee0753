"""Archives of Docker 28.5, podman 5.8, buildah 1.43 and skopeo 1.22 load and run; the installed podman takes what we save and push."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.archives.record import HERE, NAME
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.support.real_registry import RealRegistry

pytestmark = pytest.mark.privileged
ARCHIVES = sorted(path.name.removesuffix(".tar.gz") for path in HERE.glob("*.tar.gz"))
_HIDE_THE_HOST = "for d in /run /dev/shm /var/lib; do mount -t tmpfs none $d; done; exec podman"
_ENGINE = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nlock_type = "file"\ntmp_dir = "{0}/tmp"\n'
_STORAGE = '[storage]\ndriver = "vfs"\nrunroot = "{0}/run"\ngraphroot = "{0}/store"\n'


class Podman:
    """The installed one, with a storage and mount namespaces of its own, in the network namespace of an engine."""

    def __init__(self, folder: Path, pid: int) -> None:
        (folder / "engine.conf").write_text(_ENGINE.format(folder))
        (folder / "storage.conf").write_text(_STORAGE.format(folder))
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self._environment = {**os.environ, "CONTAINERS_CONF": f"{folder}/engine.conf", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}
        self._policy = f"--signature-policy={folder}/policy.json"
        self._enter = ["nsenter", f"--net=/proc/{pid}/ns/net", "unshare", "-m", "sh", "-c", f'{_HIDE_THE_HOST} "$@"', "sh"]

    def __call__(self, *words: str) -> str:
        words = (words[0], self._policy, *words[1:]) if words[0] in ("load", "pull", "push") else words
        done = subprocess.run([*self._enter, *words], env=self._environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("image", "inspect", name))[0]
        return found


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, engine: Daemon) -> Podman:
    return Podman(tmp_path_factory.mktemp("podman"), engine.namespace_pid)


@pytest.fixture
def loaded(request: pytest.FixtureRequest, engine: Daemon) -> Iterator[str]:
    """The recorded archive of that kind, loaded."""
    raw = gzip.decompress((HERE / f"{request.param}.tar.gz").read_bytes())
    answer = engine.call("POST", "/images/load?quiet=1", raw).body.decode()
    assert f"Loaded image: {NAME}" in answer, answer
    yield NAME
    engine.call("DELETE", f"/images/{NAME}?force=1")


@pytest.mark.parametrize("loaded", ARCHIVES, indirect=True)
def test_a_recorded_archive_loads_and_runs(loaded: str, docker_cli: DockerCli) -> None:
    done = docker_cli("run", "--rm", "--network", "none", loaded)
    assert (done.stdout, done.returncode) == ("ok\n", 7), done.stderr
    shown = docker_cli("image", "inspect", loaded, "-f", "{{.Config.Cmd}} {{.Config.Env}} {{.Config.Labels.made}}", check=True).stdout
    assert shown.startswith("[/prog] [")
    assert shown.endswith("A=b] here\n")


@pytest.mark.parametrize("loaded", ["docker", "podman-oci-archive", "buildah-zstd"], indirect=True)
def test_what_we_save_podman_loads_and_saves_again(loaded: str, engine: Daemon, podman: Podman, tmp_path: Path) -> None:
    image = engine.call("GET", f"/images/{loaded}/json").ok()
    archive, again = tmp_path / "saved.tar", tmp_path / "again.tar"
    archive.write_bytes(engine.call("GET", f"/images/{loaded}/get").body)
    podman("load", "-q", "-i", str(archive))
    there = podman.inspect(loaded)
    assert (f"sha256:{there['Id']}", there["RootFS"]["Layers"]) == (image["Id"], image["RootFS"]["Layers"])
    podman("save", "-q", "--format", "oci-archive", "-o", str(again), loaded)
    podman("rmi", "-f", loaded)
    engine.call("DELETE", f"/images/{loaded}?force=1").ok()
    assert b"Loaded image" in engine.call("POST", "/images/load?quiet=1", again.read_bytes()).body
    assert engine.call("GET", f"/images/{loaded}/json").ok()["Id"] == image["Id"]


@pytest.mark.parametrize("loaded", ["podman-docker-archive"], indirect=True)
def test_what_we_push_podman_pulls_and_pushes_back(loaded: str, engine: Daemon, podman: Podman, tmp_path: Path) -> None:
    image = engine.call("GET", f"/images/{loaded}/json").ok()
    with RealRegistry(tmp_path, 5055, tmp_path / "registry", "127.0.0.1").running(engine.namespace_pid):
        name = "127.0.0.1:5055/interop"
        engine.call("POST", f"/images/{loaded}/tag?repo={quote(name, safe='')}&tag=v1").ok()
        assert b"digest: sha256:" in engine.call("POST", f"/images/{name}/push?tag=v1").body
        engine.call("DELETE", f"/images/{name}:v1").ok()
        podman("pull", "-q", "--tls-verify=false", f"{name}:v1")
        assert f"sha256:{podman.inspect(f'{name}:v1')['Id']}" == image["Id"]
        podman("push", "-q", "--tls-verify=false", f"{name}:v1", f"{name}:v2")
        podman("rmi", "-f", f"{name}:v1")
        engine.call("DELETE", f"/images/{loaded}?force=1").ok()
        assert b"Status: Downloaded newer image" in engine.call("POST", f"/images/create?fromImage={quote(name, safe='')}&tag=v2").body
        assert engine.call("GET", f"/images/{name}:v2/json").ok()["Id"] == image["Id"]
        engine.call("DELETE", f"/images/{name}:v2").ok()
