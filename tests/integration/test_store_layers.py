"""Layers as overlayfs stacks them: whiteouts, devices, owners and attributes, unpacked by root."""

import io
import json
import os
import random
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from corten.ids import DiffId
from corten.store.changes import snapshot_changes
from corten.store.layertar.rebuild import layer_tar
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store, open_store
from corten.store.view import opened_view, opened_writable
from tests.unit.store.tarballs import Member, chunked, tarball

pytestmark = pytest.mark.privileged


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(str(tmp_path_factory.mktemp("store") / "root"))
    yield opened
    opened.close()


def unpack(store: Store, members: Sequence[Member]) -> DiffId:
    data = tarball(members)
    with store.layers.lease() as lease:
        layer = unpack_layer(store.layers, chunked(data, 3000), lease=lease)
        store.snapshots.prepare(layer.diff_id[7:], [layer.diff_id])
    assert b"".join(layer_tar(store.layers.directory(layer.diff_id))) == data
    return layer.diff_id


def tree(fd: int, folder: str = "") -> dict[str, bytes | str]:
    """Every path of the tree, with the content of files."""
    found: dict[str, bytes | str] = {}
    here = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    try:
        for name in sorted(os.listdir(here)):
            path = f"{folder}/{name}" if folder else name
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                found |= tree(fd, path)
                found.setdefault(path + "/", "")
            elif stat.S_ISREG(mode):
                with open(os.open(name, os.O_RDONLY, dir_fd=here), "rb") as file:
                    found[path] = file.read()
            else:
                found[path] = stat.filemode(mode)[0]
    finally:
        os.close(here)
    return found


def stacked(store: Store, *layers: DiffId) -> dict[str, bytes | str]:
    with opened_view([store.layers.path(diff_id) for diff_id in reversed(layers)]) as fd:
        return tree(fd)


BASE = [Member("d/", "dir"), Member("d/a", data=b"a"), Member("d/b", data=b"b"), Member("e/", "dir"), Member("e/x/", "dir"),
        Member("e/x/f", data=b"f"), Member("top", data=b"t")]  # fmt: skip


@pytest.mark.parametrize(
    ("upper", "want"),
    [
        ([Member("d/.wh.a")], {"d/": "", "d/b": b"b", "e/": "", "e/x/": "", "e/x/f": b"f", "top": b"t"}),
        ([Member(".wh.d"), Member(".wh.e")], {"top": b"t"}),
        ([Member("d/.wh..wh..opq"), Member("d/c", data=b"c")], {"d/": "", "d/c": b"c", "e/": "", "e/x/": "", "e/x/f": b"f", "top": b"t"}),
        ([Member("d/c", data=b"c"), Member("d/.wh..wh..opq"), Member(".wh.e")], {"d/": "", "d/c": b"c", "top": b"t"}),
        ([Member(".wh.d"), Member("d/", "dir"), Member("d/c", data=b"c"), Member(".wh.e"), Member(".wh.top")], {"d/": "", "d/c": b"c"}),
        ([Member("d/", "dir"), Member("d/c", data=b"c"), Member(".wh.d"), Member(".wh.e"), Member(".wh.top")], {"d/": "", "d/c": b"c"}),
        ([Member(".wh.e"), Member("e/x/g", data=b"g"), Member(".wh.d")], {"e/": "", "e/x/": "", "e/x/g": b"g", "top": b"t"}),
        ([Member(".wh.top"), Member("top", data=b"new"), Member(".wh.d"), Member(".wh.e")], {"top": b"new"}),
        ([Member("top", data=b"new"), Member(".wh.top"), Member(".wh.d"), Member(".wh.e")], {"top": b"new"}),
        ([Member(".wh.top"), Member(".wh.top"), Member(".wh.never"), Member(".wh.d"), Member(".wh.e")], {}),
        ([Member(".wh..wh.plnk"), Member(".wh..wh.aufs", data=b"x"), Member(".wh.d"), Member(".wh.e")], {"top": b"t"}),
        ([Member("d", data=b"now a file"), Member(".wh.e")], {"d": b"now a file", "top": b"t"}),
    ],
)
def test_whiteouts_hide_what_lower_layers_have(store: Store, upper: list[Member], want: dict[str, bytes | str]) -> None:
    assert stacked(store, unpack(store, BASE), unpack(store, upper)) == want


def test_whiteouts_that_name_nothing_or_a_parent_are_refused(store: Store) -> None:
    from corten.errors import Invalid

    for name in ("d/.wh.", "d/.wh...", "d/.wh.."):
        with pytest.raises(Invalid):
            unpack(store, [*BASE, Member(name)])


def test_devices_owners_and_attributes(store: Store) -> None:
    pax = {
        "SCHILY.xattr.user.x": "v",
        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x04" + "\x00" * 14,
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
    }
    diff_id = unpack(
        store,
        [
            Member("dev/", "dir", uid=1, gid=2, mode=0o2755),
            Member("dev/null", "char", device=(1, 3), mode=0o666),
            Member("dev/loop", "block", device=(7, 0), mode=0o660, gid=6),
            Member("dev/file", data=b"x", uid=1000, gid=1001, mode=0o6755, pax=pax),
            Member("dev/link", "link", link="x", uid=5, gid=6),
        ],
    )
    root = Path(store.layers.path(diff_id))
    null, loop, file = (os.lstat(root / "dev" / name) for name in ("null", "loop", "file"))
    assert stat.S_ISCHR(null.st_mode)
    assert null.st_rdev == os.makedev(1, 3)
    assert stat.S_IMODE(null.st_mode) == 0o666
    assert stat.S_ISBLK(loop.st_mode)
    assert (loop.st_gid, stat.S_IMODE(loop.st_mode)) == (6, 0o660)
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (1000, 1001, 0o6755)
    assert os.getxattr(root / "dev/file", "user.x") == b"v"
    assert len(os.getxattr(root / "dev/file", "security.capability")) == 20
    assert not [name for name in os.listxattr(root / "dev/file") if "overlay" in name]
    assert (os.lstat(root / "dev/link").st_uid, os.lstat(root / "dev").st_uid, stat.S_IMODE(os.lstat(root / "dev").st_mode)) == (
        5,
        1,
        0o2755,
    )


def test_hundreds_of_layers_are_one_tree(store: Store) -> None:
    layers = [unpack(store, [Member(f"f{n}", data=str(n).encode()), Member("last", data=str(n).encode())]) for n in range(300)]
    found = stacked(store, *layers)
    assert len(found) == 301
    assert found["last"] == b"299"


def disk_use(path: Path) -> int:
    """Bytes of blocks, as `du` counts."""
    return sum(os.lstat(Path(folder) / name).st_blocks * 512 for folder, dirs, files in os.walk(path) for name in (*dirs, *files))


def test_a_store_takes_five_percent_more_than_its_files(store: Store, tmp_path: Path) -> None:
    noise = random.Random(7)
    shared = [Member(f"lib/d{n % 40}/f{n}", data=noise.randbytes(noise.randrange(1, 40_000))) for n in range(1200)]
    base = unpack(store, shared)
    layers = [unpack(store, [Member(f"app/{n}/f{m}", data=noise.randbytes(8000)) for m in range(50)]) for n in range(2)]
    for n, layer in enumerate(layers):
        rootfs = {"type": "layers", "diff_ids": [base, layer]}
        image = {"architecture": "amd64", "os": "linux", "author": str(n), "rootfs": rootfs}
        store.images.add(json.dumps(image).encode())
    plain = tmp_path / "plain"
    for layer in (base, *layers):
        with tarfile.open(fileobj=io.BytesIO(b"".join(layer_tar(store.layers.directory(layer))))) as tar:
            tar.extractall(plain, filter="fully_trusted")
    store.background.wait()
    assert disk_use(Path(store.root.layers)) <= 1.05 * disk_use(plain)
    beside = disk_use(Path(store.root.path)) - disk_use(Path(store.root.layers)) - os.stat(Path(store.root.path, "reserve")).st_blocks * 512
    assert beside < 1 << 20  # rows, and nothing twice


def test_changes_of_a_container_are_read_off_its_upper_directory(store: Store) -> None:
    base = [Member("d/", "dir"), *(Member(f"d/{n}", data=b"x") for n in "abc"), Member("gone", data=b"x"), Member("link", "link", link="d"),
            Member("e/", "dir"), Member("e/old", data=b"x"), Member("t", data=b"x")]  # fmt: skip
    store.snapshots.prepare("c1", [unpack(store, base)])
    assert snapshot_changes(store.snapshots, store.layers, "c1") == []
    (mount,) = store.snapshots.mounts("c1")
    with opened_writable(mount["options"]) as fd:
        root = Path(f"/proc/self/fd/{fd}")
        (root / "d/a").write_bytes(b"new")
        (root / "d/b").unlink()
        (root / "gone").unlink()
        (root / "new/sub").mkdir(parents=True)
        (root / "link").unlink()
        (root / "link").mkdir()
        (root / "link/a").write_bytes(b"x")
        (root / "e/old").unlink()
        (root / "e").rmdir()
        (root / "e").mkdir()
        (root / "e/fresh").write_bytes(b"x")
        (root / "t").chmod(0o600)
        (root / "never").write_bytes(b"x")
        (root / "never").unlink()
    found = {change.path: change.kind.name[0] for change in snapshot_changes(store.snapshots, store.layers, "c1")}
    assert found == {
        "/d": "M", "/d/a": "M", "/d/b": "D", "/gone": "D", "/new": "A", "/new/sub": "A", "/link": "M", "/link/a": "A", "/e": "M",
        "/e/old": "D", "/e/fresh": "A", "/t": "M",
    }  # fmt: skip
    assert list(found) == sorted(found)
