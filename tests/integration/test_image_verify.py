"""`corten image verify` on a real daemon: damage is named, and repaired from the registry that the image came from."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.events import Events
from corten.engine.transfer.pull import Pulls
from corten.errors import EngineError, NotFound
from corten.oci.reference import parse_reference
from corten.registry.hosts import RegistrySettings
from corten.store.opened import Store, open_store
from tests.support.daemon import Daemon
from tests.support.faulty_registry import Faults, running_registry
from tests.support.remote_images import add_image, random_layers
from tests.support.two_clis import our_program

pytestmark = pytest.mark.privileged


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


async def test_a_damaged_layer_comes_again_from_its_registry(store: Store) -> None:
    pulls = Pulls(store, RegistrySettings(certs_d=()), Events())
    with running_registry() as registry:
        add_image(registry, random_layers(2, 300_000))
        name = parse_reference(f"{registry.host}/x")
        await pulls.pull(name, lambda _: None)
        first, second = store.images.get(str(name)).layers
        file = Path(store.layers.path(first)) / "layer0"
        whole = file.read_bytes()
        file.write_bytes(b"")
        store.layers.damage.note(first)
        before = len(registry.seen)
        with store.layers.lease() as lease:
            assert await pulls.refetch().bring(first, lease, {}) == f"{registry.host}/x"
        assert file.read_bytes() == whole
        assert len([path for _, path, _ in registry.seen[before:] if "/blobs/" in path]) == 1
        file.unlink()
        store.layers.damage.note(first)
        await pulls.pull(name, lambda _: None)  # what a plain pull does for it, too
        assert file.read_bytes() == whole
        store.db.execute("DELETE FROM layer_blobs WHERE diff_id = ?", (second,))
        store.layers.damage.note(second)
        with store.layers.lease() as lease, pytest.raises(NotFound, match="no registry is known"):
            await pulls.refetch().bring(second, lease, {})


async def test_a_registry_that_sends_something_else_changes_nothing(store: Store) -> None:
    pulls = Pulls(store, RegistrySettings(certs_d=()), Events())
    faults = Faults()
    with running_registry(faults) as registry:
        add_image(registry, random_layers(1, 300_000))
        name = parse_reference(f"{registry.host}/x")
        await pulls.pull(name, lambda _: None)
        (layer,) = store.images.get(str(name)).layers
        file = Path(store.layers.path(layer)) / "layer0"
        file.write_bytes(b"damaged")
        store.layers.damage.note(layer)
        faults.corrupt = True
        with store.layers.lease() as lease, pytest.raises(EngineError):
            await pulls.refetch().bring(layer, lease, {})
    assert file.read_bytes() == b"damaged"
    assert store.layers.damage.is_noted(layer)


def test_the_command_names_damage_and_load_heals_it(daemon: Daemon, tmp_path: Path) -> None:
    corten = our_program(tmp_path)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([corten, "-H", daemon.host, *words], capture_output=True, text=True, check=False)

    archive = tmp_path / "busybox.tar"
    assert run("save", "-o", str(archive), "busybox").returncode == 0
    done = run("image", "verify", "busybox")
    assert (done.returncode, done.stdout.splitlines()[-1][-9:]) == (0, "all whole")
    (layer,) = json.loads(run("image", "inspect", "busybox").stdout)[0]["RootFS"]["Layers"]
    root = daemon.data_root / "layers" / layer.removeprefix("sha256:") / "diff"
    (root / "etc/passwd").write_text("nobody")
    (root / "etc/more").write_text("x")
    done = run("image", "verify", "--repair", "busybox")
    assert done.returncode == 1
    assert "  changed  /etc/passwd: it is too short\n" in done.stdout
    assert "  extra  /etc/more: the layer did not bring it\n" in done.stdout
    assert "no registry is known to have this layer" in done.stderr
    assert run("run", "-d", "--name", "keeper", "busybox", "sleep", "300").returncode == 0
    assert run("load", "-i", str(archive)).returncode == 0
    assert run("image", "verify", "-q").stdout == ""
    assert "root" in run("run", "--rm", "busybox", "cat", "/etc/passwd").stdout
    assert run("exec", "keeper", "cat", "/etc/more").stdout == "x"  # still on what it was started from
    assert run("rm", "-f", "keeper").returncode == 0
    assert run("image", "verify", "nosuch").returncode == 1
