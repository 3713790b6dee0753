"""Images through strangers' clients: the stock docker CLI and docker-py, on a real daemon."""

import json
import random
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from corten.store.opened import open_store
from tests.integration.test_store_faults import big_layers, check_whole
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.unit.store.test_archive import archive, digest, docker_archive

pytestmark = pytest.mark.privileged
ID = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def cli(docker_cli: DockerCli, name: str) -> Iterator[DockerCli]:
    """The CLI, and images named after the test removed."""
    yield docker_cli
    docker_cli("rm", "-f", name)
    left = docker_cli("images", "-q", f"{name}*").stdout.split()
    docker_cli("rmi", "-f", *left, *docker_cli("images", "-q", f"{name}/*").stdout.split())


def write_archive(path: Path, name: str, *tags: str) -> Path:
    path.write_bytes(archive(docker_archive(big_layers(2, 40), RepoTags=[f"{name}:{tag}" for tag in tags])))
    return path


def test_load_save_and_load_again(cli: DockerCli, name: str, tmp_path: Path) -> None:
    file = write_archive(tmp_path / "a.tar", name, "one", "two")
    assert cli("load", "-i", str(file), check=True).stdout.splitlines() == [f"Loaded image: {name}:one", f"Loaded image: {name}:two"]
    inspected = json.loads(cli("inspect", f"{name}:one", check=True).stdout)[0]
    assert inspected["RepoTags"] == [f"{name}:one", f"{name}:two"]
    saved = tmp_path / "b.tar"
    cli("save", "-o", str(saved), f"{name}:one", check=True)
    with tarfile.open(saved) as tar:
        (entry,) = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        for layer, diff_id in zip(entry["Layers"], inspected["RootFS"]["Layers"], strict=True):
            assert digest(tar.extractfile(layer).read()) == diff_id  # type: ignore[union-attr]
    cli("rmi", f"{name}:one", f"{name}:two", check=True)
    assert cli("load", "-q", "-i", str(saved), check=True).stdout.splitlines() == [f"Loaded image: {name}:one"]
    assert json.loads(cli("inspect", f"{name}:one", check=True).stdout)[0]["Id"] == inspected["Id"]


def test_what_is_no_archive_fails_the_load(cli: DockerCli, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive" * 100)
    done = cli("load", "-i", str(tmp_path / "x.tar"))
    assert done.returncode == 1
    assert "invalid tar header" in done.stderr


def test_an_imported_root_runs_with_its_changes(cli: DockerCli, name: str, tmp_path: Path) -> None:
    created = cli("create", "--name", name, "busybox", check=True)
    assert created.stdout.strip()
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as tar:
        tar.add("/bin/busybox", "bin/sh")
    changes = ["-c", 'ENTRYPOINT ["/bin/sh"]', "-c", "ENV GREETING=hello", "-c", 'CMD ["-c", "echo $GREETING"]']
    imported = cli("import", *changes, "-m", "by a test", str(root), f"{name}:v1", check=True).stdout.strip()
    assert ID.fullmatch(imported)
    assert cli("run", "--rm", f"{name}:v1", check=True).stdout == "hello\n"
    assert "by a test" in cli("history", f"{name}:v1", check=True).stdout
    assert cli("import", "-c", "RUN x", str(root), f"{name}:v2").returncode == 1


def test_tags_lists_and_removal(cli: DockerCli, name: str, tmp_path: Path) -> None:
    cli("load", "-i", str(write_archive(tmp_path / "a.tar", name, "one")), check=True)
    cli("tag", f"{name}:one", f"{name}/other:two", check=True)
    listed = cli("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={name}*", check=True).stdout.split()
    assert listed == [f"{name}:one"]
    image_id = cli("images", "-q", "--no-trunc", f"{name}/other", check=True).stdout.strip()
    refused = cli("rmi", image_id)
    assert "image is referenced in multiple repositories" in refused.stderr
    assert refused.returncode == 1
    assert cli("rmi", f"{name}/other:two", check=True).stdout == f"Untagged: {name}/other:two\n"
    removed = cli("rmi", f"{name}:one", check=True).stdout.splitlines()
    assert removed[:2] == [f"Untagged: {name}:one", f"Deleted: {image_id}"]
    assert len(removed) == 4
    assert "No such image" in cli("rmi", f"{name}:one").stderr


def test_an_image_in_use_stays(cli: DockerCli, name: str) -> None:
    cli("tag", "busybox", f"{name}:v1", check=True)
    cli("run", "-d", "--name", name, f"{name}:v1", "sleep", "60", check=True)
    image_id = cli("inspect", "-f", "{{.Image}}", name, check=True).stdout.strip()
    assert "image is being used by running container" in cli("rmi", "-f", image_id).stderr
    cli("rmi", f"{name}:v1", check=True)


def test_docker_py_loads_tags_saves_and_removes(docker_py: docker.DockerClient, name: str, tmp_path: Path) -> None:
    (image,) = docker_py.images.load(write_archive(tmp_path / "a.tar", name, "one").read_bytes())
    assert image.tag(name, "two")
    assert sorted(docker_py.images.get(name + ":two").tags) == [f"{name}:one", f"{name}:two"]
    assert b"".join(image.save(named=f"{name}:one"))
    assert [i.id for i in docker_py.images.list(name=name)] == [image.id]
    assert image.history() == []
    docker_py.images.remove(str(image.id), force=True)
    with pytest.raises(docker.errors.ImageNotFound):
        docker_py.images.get(f"{name}:one")


def test_events_of_images_are_heard(engine: Daemon, cli: DockerCli, name: str) -> None:
    begun = time.time() - 1
    cli("tag", "busybox", f"{name}:v1", check=True)
    cli("rmi", f"{name}:v1", check=True)
    query = f"/events?since={begun:.9f}&until={time.time():.9f}"
    lines = [json.loads(line) for line in engine.call("GET", query).body.splitlines()]
    told = [(e["Action"], e["Actor"]["Attributes"]["name"]) for e in lines if e["Type"] == "image"]
    assert ("tag", f"{name}:v1") in told
    assert any(action == "untag" for action, _ in told)


def test_loads_are_killed_with_the_daemon_and_begun_again(daemon: Daemon) -> None:
    data = archive(docker_archive(big_layers(3, 80)))
    moments = random.Random(3)
    for _ in range(6):
        loading = threading.Thread(target=load_slowly, args=(daemon, data))
        loading.start()
        time.sleep(moments.uniform(0.01, 0.25))
        daemon.kill()
        loading.join()
        daemon.start()
    assert daemon.call("POST", "/images/load", data).status == 200
    assert len(daemon.call("GET", "/images/app:v1/json").ok()["RootFS"]["Layers"]) == 3
    daemon.stop()
    store = open_store(str(daemon.data_root))
    try:
        check_whole(store)
    finally:
        store.close()
    daemon.start()


def load_slowly(daemon: Daemon, data: bytes) -> None:
    """Sends the archive in pieces over some tenths of a second; the daemon may end meanwhile."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        try:
            client.sendall(
                b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n" % len(data)
            )
            for start in range(0, len(data), 100_000):
                client.sendall(data[start : start + 100_000])
                time.sleep(0.01)
            while client.recv(65536):
                pass
        except OSError:
            return
