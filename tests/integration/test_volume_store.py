"""Volumes on disk: filling from layers, whole or not at all, and what a start puts right."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.errors import Conflict, NotFound
from corten.store import volumes as volume_store
from corten.store.copytree import TreeCopy
from corten.store.opened import Store, open_store
from corten.store.trash import Trash
from corten.store.view import opened_view
from corten.store.volumes import Volumes

pytestmark = pytest.mark.privileged


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"), volume_store.MIGRATIONS)
    yield opened
    opened.close()


@pytest.fixture
def volumes(store: Store, tmp_path: Path) -> Volumes:
    return Volumes(str(tmp_path / "root" / "volumes"), store.db, Trash(store.root.trash, store.background))


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def make_source(folder: Path) -> Path:
    folder.mkdir()
    (folder / "plain").write_bytes(b"hello")
    os.chown(folder / "plain", 1000, 1001)
    os.chmod(folder / "plain", 0o4751)
    os.link(folder / "plain", folder / "second")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with open(folder / "sparse", "wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    (folder / "sub").mkdir(mode=0o700)
    (folder / "sub" / "deep").write_text("x")
    os.setxattr(folder / "sub", "user.note", b"kept")
    os.utime(folder / "sub", ns=(1, 2_000_000_000))
    os.chmod(folder, 0o2775)
    os.chown(folder, 7, 8)
    return folder


def test_a_tree_is_copied_with_all_it_has(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    (tmp_path / "target").mkdir()
    copy = TreeCopy()
    read, write = opened(source), opened(tmp_path / "target")
    try:
        copy.contents(read, write)
    finally:
        copy.close()
        os.close(read)
        os.close(write)
    target = tmp_path / "target"
    plain = (target / "plain").stat()
    assert (plain.st_uid, plain.st_gid, stat.S_IMODE(plain.st_mode)) == (1000, 1001, 0o4751)
    assert (target / "second").stat().st_ino == plain.st_ino
    assert os.readlink(target / "link") == "/etc/passwd"
    assert stat.S_ISFIFO((target / "fifo").stat().st_mode)
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)
    assert (target / "sparse").stat().st_size == (50 << 20) + 3
    assert (target / "sparse").stat().st_blocks < 1000
    assert os.getxattr(target / "sub", "user.note") == b"kept"
    assert (target / "sub").stat().st_mtime_ns == 2_000_000_000
    root = target.stat()
    assert (root.st_uid, root.st_gid, stat.S_IMODE(root.st_mode)) == (7, 8, 0o2775)


def test_a_view_of_layers_hides_what_whiteouts_hide(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    for folder, name in ((low, "old"), (low, "kept"), (high, "new")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(folder.name)
    os.mknod(high / "old", stat.S_IFCHR, os.makedev(0, 0))
    before = Path("/proc/self/mountinfo").read_text()
    with opened_view([str(high), str(low)]) as fd:
        assert sorted(os.listdir(fd)) == ["kept", "new"]
        assert Path("/proc/self/mountinfo").read_text() == before
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("x", dir_fd=fd)


def test_filling_is_whole(volumes: Volumes, tmp_path: Path) -> None:
    volumes.create("v1", options={}, labels={})
    fd = opened(make_source(tmp_path / "source"))
    try:
        volumes.filling.fill("v1", fd)
    finally:
        os.close(fd)
    data = Path(volumes.data("v1"))
    assert (data / "plain").read_bytes() == b"hello"
    assert data.stat().st_uid == 7
    assert not (data.parent / "_filling").exists()
    assert not volumes.filling.is_empty("v1")


def test_records_and_users(volumes: Volumes) -> None:
    volume, is_new = volumes.create("v1", options={}, labels={"a": "b"})
    assert is_new
    assert volumes.create("v1", options={}, labels={}) == (volume, False)
    volumes.hold("v1", "c1")
    volumes.hold("v1", "c1")
    with pytest.raises(Conflict, match=r"remove v1: volume is in use - \[c1\]"):
        volumes.remove("v1")
    (released,) = volumes.release("c1")
    assert (released.name, released.users) == ("v1", ())
    volumes.remove("v1")
    with pytest.raises(NotFound, match="get v1: no such volume"):
        volumes.get("v1")
    assert not Path(volumes.data("v1")).exists()


def test_a_start_puts_right_what_a_crash_left(volumes: Volumes) -> None:
    volumes.create("v1", options={}, labels={})
    volumes.hold("v1", "gone")
    folder = Path(volumes.data("v1")).parent
    (folder / "_filling").mkdir()
    (folder.parent / "stranger").mkdir()
    volumes.recover(["alive"])
    assert not (folder / "_filling").exists()
    assert not (folder.parent / "stranger").exists()
    assert volumes.get("v1").users == ()
    assert Path(volumes.data("v1")).exists()
