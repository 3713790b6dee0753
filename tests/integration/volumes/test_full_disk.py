"""A full disk: what is in the trash gives room at once, and the work goes on."""

import asyncio
import io
import json
import os
import random
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.errors import Unavailable
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import open_store
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, import_busybox, run_name
from tests.support.faulty_registry import running_registry
from tests.support.images import add, busybox_tar
from tests.support.remote_images import add_image, random_layers

pytestmark = pytest.mark.privileged
MIB = 1 << 20
DISK = 420 * MIB
"""The engine leaves 64 MiB alone; at 90 % it would clear by itself."""


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on a disk of its own that never clears by itself, unless a test gives it other marks."""
    disk = tmp_path / "disk"
    image = tmp_path / "image"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    daemon = Daemon(run_name(request.node.nodeid), "--gc", getattr(request, "param", "high=100%,low=99%"))
    daemon.data_root = disk / "data"
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
    finally:
        daemon.remove()
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def cli(small: Daemon, docker_program: str, tmp_path: Path) -> DockerCli:
    return DockerCli(small.host, tmp_path)


def fill(cli: DockerCli, daemon: Daemon, *, leave: int) -> None:
    """Four volumes full of data in the trash, and so many bytes left on the disk."""
    for number in range(4):
        cli("volume", "create", f"old{number}", check=True)
        file = daemon.data_root / "volumes" / f"old{number}" / "_data" / "file"
        file.write_bytes(bytes((free(daemon) - leave) // (4 - number)))
        cli("volume", "rm", f"old{number}", check=True)
    assert free(daemon) < leave + MIB


def free(daemon: Daemon) -> int:
    found = os.statvfs(daemon.data_root)
    return found.f_bavail * found.f_frsize


def trashed(daemon: Daemon) -> list[str]:
    return [entry["Name"] for entry in daemon.call("GET", "/corten/trash").ok()]


def image_tar(size: int) -> bytes:
    buffer = io.BytesIO(busybox_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        add(tar, "big", random.Random(1).randbytes(size))
    return buffer.getvalue()


def test_a_layer_goes_on_where_the_disk_was_full(small: Daemon, cli: DockerCli) -> None:
    fill(cli, small, leave=80 * MIB)
    assert trashed(small) == ["old0", "old1", "old2", "old3"]
    small.call("POST", "/images/create?fromSrc=-&repo=big&tag=latest", image_tar(60 * MIB)).ok()
    assert cli("run", "--rm", "big", "wc", "-c", "/big", check=True).stdout.startswith(str(60 * MIB))
    assert trashed(small) != ["old0", "old1", "old2", "old3"]
    purged = cli("events", "--since", "10m", "--until", str(time.time()), "--filter", "event=purge").stdout
    assert "reason=the disk is full" in purged


def test_without_trash_it_is_told(small: Daemon, cli: DockerCli) -> None:
    before = free(small)
    fill(cli, small, leave=80 * MIB)
    small.call("POST", "/corten/trash/empty", {}).ok()
    deadline = time.monotonic() + 10
    while free(small) < before - MIB and time.monotonic() < deadline:
        time.sleep(0.05)
    cli("volume", "create", "data", check=True)
    (small.data_root / "volumes" / "data" / "_data" / "file").write_bytes(bytes(free(small) - 80 * MIB))
    answer = small.call("POST", "/images/create?fromSrc=-&repo=big&tag=latest", image_tar(60 * MIB))
    assert b"no space left on device" in answer.body
    assert cli("volume", "ls", "-q", check=True).stdout == "data\n"


def test_containers_volumes_and_commits_find_room(small: Daemon, cli: DockerCli) -> None:
    """The disk is full to the last block: everything that makes a directory fails, until the trash gives way."""
    cli("run", "--name", "changed", "busybox", "dd", "if=/dev/urandom", "of=/x", "bs=1M", "count=20", check=True)
    fill(cli, small, leave=8 * MIB)
    with pytest.raises(OSError, match="No space left"):
        (small.data_root / "filler").write_bytes(bytes(20 * MIB))
    assert len(trashed(small)) == 4
    cli("commit", "changed", "committed", check=True)
    assert len(trashed(small)) < 4
    assert cli("run", "--rm", "-v", "new:/v", "committed", "wc", "-c", "/x", check=True).stdout.startswith(str(20 * MIB))


@pytest.mark.parametrize("small", ["high=60%,low=25%,keep=0s,pin=busybox"], indirect=True)
def test_the_daemon_clears_by_itself_above_its_mark(small: Daemon, cli: DockerCli) -> None:
    """The trash, then images that nothing uses; what is pinned, used or protected stays, and volumes do."""
    small.call("POST", "/images/create?fromSrc=-&repo=old&tag=latest", image_tar(40 * MIB)).ok()
    small.call("POST", "/images/create?fromSrc=-&repo=used&tag=latest", image_tar(4 * MIB)).ok()
    target = "/images/create?fromSrc=-&repo=kept&tag=latest&changes=LABEL%20corten.protected%3D1"
    small.call("POST", target, image_tar(5 * MIB)).ok()
    cli("create", "--name", "web", "used", "true", check=True)
    for name in ("removed", "data"):
        cli("volume", "create", name, check=True)
        (small.data_root / "volumes" / name / "_data" / "file").write_bytes(bytes(30 * MIB))
    cli("volume", "rm", "removed", check=True)
    explained = small.call("POST", "/corten/gc", {"DryRun": True}).ok()
    assert explained["Marks"] == {"High": "60%", "Low": "25%", "Trash": "7d", "Keep": "0s", "Pin": ["busybox"]}
    (small.data_root / "filler").write_bytes(bytes(200 * MIB))
    deadline = time.monotonic() + 20
    while trashed(small) or "old" in images(cli):
        assert time.monotonic() < deadline, small.call("POST", "/corten/gc", {"DryRun": True}).ok()
        time.sleep(0.1)
    assert images(cli) == {"busybox", "used", "kept"}
    assert cli("volume", "ls", "-q", check=True).stdout == "data\n"
    told = cli("events", "--since", "10m", "--until", str(time.time()), "--filter", "event=purge", "--filter", "event=evict").stdout
    assert "volume purge removed" in told
    assert "reason=the disk is fuller than 60%: in the trash" in told
    assert "name=old:latest, reason=the disk is fuller than 60%: no container, not used for 0s" in told
    why = {verdict["Name"]: verdict["Why"] for verdict in small.call("POST", "/corten/gc", {"DryRun": True}).ok()["Staying"]}
    assert why == {
        "busybox:latest": "pinned by busybox",
        "used:latest": "container web needs it",
        "kept:latest": "protected by its label corten.protected",
    }


def images(cli: DockerCli) -> set[str]:
    return set(cli("images", "--format", "{{.Repository}}", check=True).stdout.split())


def test_a_pull_for_which_there_is_no_room_empties_the_trash_first(tmp_path: Path) -> None:
    """The sizes are in the manifest: room is made before the first byte is fetched."""
    asked: list[int] = []
    store = open_store(str(tmp_path / "root"), reclaim=lambda wanted: asked.append(wanted) or 0)  # type: ignore[func-returns-value]
    found = os.statvfs(tmp_path)
    size = found.f_bavail * found.f_frsize
    with running_registry() as registry:
        digest = add_image(registry, random_layers(1, 1000))
        media_type, raw = registry.manifests[digest]
        manifest = json.loads(raw)
        manifest["layers"][0]["size"] = size
        registry.add_manifest("latest", json.dumps(manifest).encode(), media_type)
        pulls = Pulls(store, RegistrySettings(certs_d=()), Events())
        with pytest.raises(Unavailable, match="no space left on device"):
            asyncio.run(pulls.pull(parse_reference(f"{registry.host}/x"), lambda line: None))
    store.close()
    assert len(asked) == 1
    assert size < asked[0] < 1.2 * size
