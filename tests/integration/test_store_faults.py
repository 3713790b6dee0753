"""The store after `kill -9` and on a full disk: whole, mended, nothing left over, and usable at once."""

import functools
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from corten.errors import EngineError, Unavailable
from corten.kernel.mount import MS_PRIVATE, MS_REC, mount
from corten.kernel.namespaces import CLONE_NEWNS, unshare
from corten.store.archive.load import load_archive
from corten.store.layertar.rebuild import verify_layer
from corten.store.layertar.unpack import UNLIMITED, Limits
from corten.store.opened import Store, open_store
from tests.support.forked import forked
from tests.unit.store.tarballs import Member, chunked, tarball
from tests.unit.store.test_archive import archive, config, docker_archive

pytestmark = pytest.mark.privileged


def big_layers(count: int, files: int) -> list[bytes]:
    noise = random.Random(5)
    return [
        tarball([Member(f"d{n % 7}/f{layer}-{n}", data=noise.randbytes(noise.randrange(1, 9000))) for n in range(files)])
        for layer in range(count)
    ]


def check_whole(store: Store) -> None:
    """Every row has its files and every file its row, and what the rows say is true."""
    store.background.wait()
    assert store.db.query("PRAGMA integrity_check") == [("ok",)]
    layers = store.layers.all()
    for layer in layers:
        verify_layer(store.layers.directory(layer.diff_id), layer.diff_id)
    directories = set(os.listdir(store.root.layers)) - {"empty"}
    assert directories == {layer.diff_id[7:] for layer in layers}
    assert set(os.listdir(store.root.snapshots)) == set(store.snapshots.keys())
    for image in store.images.all():
        store.layers.require(image.layers)
    assert os.listdir(store.root.work) == os.listdir(store.root.trash) == []
    assert store.layers.leases.held() == set()


def test_a_killed_store_is_mended_at_the_next_start(tmp_path: Path) -> None:
    data = archive(docker_archive(big_layers(3, 60)))
    file, root = tmp_path / "a.tar", tmp_path / "root"
    file.write_bytes(data)
    moments = random.Random(1)
    for _ in range(12):
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.store_worker", str(root), str(file)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "src:."},
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.0, 0.12))
        worker.kill()
        worker.wait()
        worker.stdout.close()
        store = open_store(str(root))
        check_whole(store)
        for key in store.snapshots.keys():  # noqa: SIM118
            store.snapshots.remove(key)
        (image,) = load_archive(store, chunked(data, 50_000), report=lambda *_: None)
        check_whole(store)
        store.images.remove(image.id)
        store.layers.collect()
        store.background.wait()
        store.close()


def test_layers_that_a_power_failure_spoiled_are_found_out(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "root"))
    good, bad = (archive(docker_archive(big_layers(1, n), RepoTags=[f"app:{n}"])) for n in (20, 30))
    for data in (good, bad):
        load_archive(store, chunked(data, 50_000), report=lambda *_: None)
    layers = {name: store.images.get(name).layers[0] for name in ("app:20", "app:30")}
    store.background.wait()
    store.db.execute("UPDATE layers SET boot = 'an earlier one'")
    victim = next(p for p in Path(store.layers.path(layers["app:30"])).rglob("f*") if p.is_file())
    victim.write_bytes(bytes(victim.stat().st_size))
    store.close()
    store = open_store(str(tmp_path / "root"))
    assert [image.repo_tags for image in store.images.all()] == [("app:20",)]
    check_whole(store)
    store.close()


def on_small_disk(kib: int, data: bytes, limits: Limits = UNLIMITED) -> str:
    """What a load says on a tmpfs of that size, after which the store is checked and used."""
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", 0, f"size={kib}k")
    try:
        store = open_store("/mnt/root")
    except EngineError as error:
        return error.reason
    said = "loaded"
    try:
        load_archive(store, chunked(data, 50_000), report=lambda *_: None, limits=limits)
    except Unavailable as error:
        assert "no space left on device" in error.message
        assert store.images.all() == []
        said = error.reason
    check_whole(store)
    small = archive({"c.json": config([]), "manifest.json": b'[{"Config": "c.json", "RepoTags": ["small:v1"], "Layers": []}]'})
    load_archive(store, iter([small]), report=lambda *_: None, limits=limits)
    assert store.images.get("small:v1")
    store.close()
    return said


def test_a_full_disk_is_told_and_leaves_a_whole_store() -> None:
    limits = Limits(reserve=-(1 << 40))  # else the reserve would refuse before the disk does
    data = archive(docker_archive(big_layers(3, 60)))
    said = [forked(functools.partial(on_small_disk, kib, data, limits)) for kib in range(300, 1900, 80)]
    assert set(said[:8]) == {"disk-full"}
    assert said[-1] == "loaded"


def on_few_inodes(data: bytes) -> str:
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", 0, "nr_inodes=300")
    store = open_store("/mnt/root")
    try:
        load_archive(store, chunked(data, 50_000), report=lambda *_: None)
    except Unavailable as error:
        check_whole(store)
        return error.message
    finally:
        store.close()
    return "loaded"


def test_a_lack_of_inodes_is_told() -> None:
    few, many = (archive(docker_archive([tarball([Member(f"f{n}") for n in range(count)])])) for count in (150, 2000))
    assert forked(functools.partial(on_few_inodes, few)) == "loaded"
    assert "inodes that are free" in forked(functools.partial(on_few_inodes, many))


def test_the_reserve_is_kept_free() -> None:
    data = archive(docker_archive(big_layers(1, 60)))
    assert forked(lambda: on_small_disk(60 << 10, data)) == "disk-full"
    assert forked(lambda: on_small_disk(70 << 10, data)) == "loaded"


def test_loads_removals_and_collections_at_once(tmp_path: Path) -> None:
    shared = big_layers(2, 15)
    archives = {}
    for n in range(3):
        own = tarball([Member("own", data=bytes([n]) * 500)])
        archives[f"app:{n}"] = archive(docker_archive([*shared, own], RepoTags=[f"app:{n}"]))
    store = open_store(str(tmp_path / "root"))

    def churn(name: str, seed: int) -> None:
        moves = random.Random(seed)
        for _ in range(12):
            (image,) = load_archive(store, chunked(archives[name], moves.randrange(5000, 90_000)), report=lambda *_: None)
            with store.db.transaction():  # nobody removes anything meanwhile
                found = store.images.by_id(image.id)
                store.layers.require(found.layers if found else ())
            if moves.random() < 0.6:
                store.images.remove(image.id)
            store.layers.collect()

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(churn, name, n) for n, name in enumerate([*archives, *archives])]
        for job in jobs:
            job.result()
    for name, data in archives.items():
        load_archive(store, chunked(data, 50_000), report=lambda *_: None)
        assert len(store.images.get(name).layers) == 3
    check_whole(store)
    store.close()
