"""Snapshots that become layers: the same files make the same layer, whose tar comes out exactly and unpacks to the same."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.ids import DiffId
from corten.store.layers import Layer
from corten.store.layertar.rebuild import layer_tar, verify_layer
from corten.store.layertar.seal import seal_snapshot
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store, open_store

pytestmark = pytest.mark.privileged
SECOND = 10**9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def write_things(root: Path) -> None:
    (root / "bin").mkdir()
    (root / "bin" / "tool").write_bytes(os.urandom(0) + b"tool" * 1000)
    os.chmod(root / "bin" / "tool", 0o4755)
    os.link(root / "bin" / "tool", root / "bin" / "alias")
    (root / "empty").write_bytes(b"")
    (root / "name with spaces ümlaut").write_text("x")
    (root / ("long" * 60)).write_text("y")
    (root / "link").symlink_to("bin/tool")
    os.mkfifo(root / "pipe")
    os.mknod(root / "gone", stat.S_IFCHR, os.makedev(0, 0))
    (root / "fresh").mkdir(mode=0o700)
    os.setxattr(root / "fresh", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "bin" / "tool", "user.note", b"kept")
    os.chown(root / "empty", 12, 34)


def sealed(store: Store, key: str, *, newest: int | None = None) -> Layer:
    store.snapshots.prepare(key, [])
    write_things(Path(store.snapshots.upper(key)))
    with store.layers.lease() as lease:
        layer = seal_snapshot(store.snapshots, store.layers, key, lease, newest=newest)
        verify_layer(store.layers.directory(layer.diff_id), layer.diff_id)
    return layer


def members(store: Store, diff_id: DiffId) -> dict[str, tarfile.TarInfo]:
    data = b"".join(layer_tar(store.layers.directory(diff_id)))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: m for m in tar.getmembers()}


def test_the_tar_has_everything(store: Store) -> None:
    layer = sealed(store, "a")
    found = members(store, layer.diff_id)
    assert found["bin/alias"].mode == 0o4755
    assert found["bin/tool"].linkname == "bin/alias"
    assert found["bin/alias"].pax_headers["SCHILY.xattr.user.note"] == "kept"
    assert found[".wh.gone"].isfile()
    assert ".wh..wh..opq" in {os.path.basename(n) for n in found}
    assert (found["empty"].uid, found["empty"].gid) == (12, 34)
    assert "name with spaces ümlaut" in found
    assert "long" * 60 in found
    assert layer.entries == len(found)
    assert store.snapshots.keys() == []


def test_the_same_work_on_another_day_makes_the_same_layer(store: Store, tmp_path: Path) -> None:
    first = sealed(store, "a", newest=1_500_000_000 * SECOND)
    other = open_store(str(tmp_path / "other"))
    try:
        assert sealed(other, "b", newest=1_500_000_000 * SECOND).diff_id == first.diff_id
    finally:
        other.close()
    diff = Path(store.layers.path(first.diff_id))
    assert {p.lstat().st_mtime for p in diff.rglob("*") if p.name != "gone"} == {1_500_000_000.0}


def test_unpacked_elsewhere_it_is_the_same(store: Store, tmp_path: Path) -> None:
    layer = sealed(store, "a")
    other = open_store(str(tmp_path / "other"))
    try:
        with other.layers.lease() as lease:
            found = unpack_layer(other.layers, layer_tar(store.layers.directory(layer.diff_id)), lease=lease, expected=layer.diff_id)
        assert (found.diff_id, found.size, found.tar_size, found.entries) == (layer.diff_id, layer.size, layer.tar_size, layer.entries)
        here, there = Path(store.layers.path(layer.diff_id)), Path(other.layers.path(layer.diff_id))
        assert sorted(p.relative_to(here) for p in here.rglob("*")) == sorted(p.relative_to(there) for p in there.rglob("*"))
        assert (there / "gone").stat().st_rdev == 0
        assert os.getxattr(there / "fresh", "trusted.overlay.opaque") == b"y"
    finally:
        other.close()


def test_a_file_of_holes_that_no_disk_could_hold_is_refused(store: Store) -> None:
    store.snapshots.prepare("holes", [])
    disk = os.statvfs(store.snapshots.upper("holes"))
    with open(Path(store.snapshots.upper("holes"), "sparse"), "wb") as file:
        file.truncate(disk.f_blocks * disk.f_frsize + 1)
    with store.layers.lease() as lease, pytest.raises(Invalid, match=r"^/sparse is .* more than the disk has"):
        seal_snapshot(store.snapshots, store.layers, "holes", lease)
    assert store.snapshots.keys() == []
    assert os.listdir(store.root.work) == []
    assert store.layers.all() == []


def test_a_large_file_is_hashed_beside_its_reading(store: Store) -> None:
    """`verify_layer` makes the tar again and hashes it in one go."""
    store.snapshots.prepare("large", [])
    upper = Path(store.snapshots.upper("large"))
    (upper / "weights").write_bytes(os.urandom((17 << 20) + 12345))
    (upper / "zz").write_bytes(b"after it")
    with store.layers.lease() as lease:
        layer = seal_snapshot(store.snapshots, store.layers, "large", lease)
        verify_layer(store.layers.directory(layer.diff_id), layer.diff_id)
    assert layer.tar_size % 512 == 0
    assert [m.size for m in members(store, layer.diff_id).values()] == [(17 << 20) + 12345, 8]
