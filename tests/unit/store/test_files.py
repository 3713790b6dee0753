import errno
import os
from pathlib import Path

import pytest

from corten.errors import EngineError, Unavailable
from corten.store.files import boot_id, disk_error, free_bytes, remove_tree, write_file
from corten.store.trash import Background, Trash
from corten.store.tree import Usage, measure


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "f"
    write_file(str(target), b"one", mode=0o640)
    write_file(str(target), b"two", mode=0o640)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "d"
    target.mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(str(target), b"x")
    assert os.listdir(tmp_path) == ["d"]


def test_any_tree_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    deep = tree
    for _ in range(230):
        deep = deep / "d"
        deep.mkdir()
    (deep / "f").write_text("x")
    os.mkdir(tree / "closed", 0o000)
    remove_tree(str(tree))
    remove_tree(str(tree))
    assert sorted(os.listdir(tmp_path)) == ["outside"]
    assert (outside / "keep").exists()
    remove_tree(str(outside / "keep"))
    assert os.listdir(outside) == []


def test_trash_is_gone_at_once_and_deleted_later(tmp_path: Path) -> None:
    background = Background()
    trash = Trash(str(tmp_path / "trash"), background)
    for name in "ab":
        (tmp_path / name).mkdir()
        trash.throw(str(tmp_path / name))
        assert not (tmp_path / name).exists()
    trash.throw(str(tmp_path / "missing"))
    background.wait()
    assert os.listdir(tmp_path / "trash") == []
    background.close()
    (tmp_path / "late").mkdir()
    trash.throw(str(tmp_path / "late"))
    assert len(os.listdir(tmp_path / "trash")) == 1
    background.wait()


def test_sizes_count_each_inode_once(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"x" * 100)
    os.link(tmp_path / "d" / "f", tmp_path / "hard")
    (tmp_path / "link").symlink_to("abc")
    assert measure(str(tmp_path)) == Usage(103, 3)
    assert measure(str(tmp_path / "missing")) == Usage(0, 0)


def test_disk_errors_in_the_users_words() -> None:
    full = disk_error(OSError(errno.ENOSPC, "x"), "unpacking")
    assert isinstance(full, Unavailable)
    assert full.message == "unpacking: no space left on device"
    assert full.reason == "disk-full"
    assert disk_error(OSError(errno.EROFS, "x"), "y").reason == "disk-read-only"
    assert type(disk_error(OSError(errno.EIO, "x"), "y")) is EngineError
    assert free_bytes("/tmp") > 0
    assert boot_id() == boot_id()
