"""The mount calls, each in a mount namespace of its own."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from corten.kernel import mount as m
from corten.kernel import namespaces as ns
from tests.support.forked import forked

pytestmark = pytest.mark.privileged
T = TypeVar("T")


def in_namespace(body: Callable[[], T]) -> T:
    def inside() -> T:
        ns.unshare(ns.CLONE_NEWNS)
        m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)
        return body()

    return forked(inside)


def tmpfs(attributes: int = 0, **options: str) -> int:
    with m.FsContext("tmpfs") as fs:
        for key, value in options.items():
            fs.set_string(key, value)
        fs.create()
        return fs.mount(attributes)


def found(path: Path) -> m.MountInfo:
    return next(info for info in m.read_mountinfo() if info.mount_point == str(path))


def test_a_detached_file_system_is_dressed_filled_and_attached(tmp_path: Path) -> None:
    def body() -> tuple[str, str, list[str]]:
        fd = tmpfs(m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NOATIME, size="1m", mode="711")
        os.mkdir("inside", dir_fd=fd)
        m.mount_setattr(fd, "", 0, m.MountAttr(attr_set=m.MOUNT_ATTR_RDONLY))
        m.move_mount(fd, "", m.AT_FDCWD, str(tmp_path))
        info = found(tmp_path)
        return info.options, info.super_options, os.listdir(tmp_path)

    assert in_namespace(body) == ("ro,nosuid,noatime", "rw,size=1024k,mode=711", ["inside"])


def test_a_recursive_clone_is_read_only_below_too(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()

    def body() -> list[str]:
        m.mount("tmpfs", str(source), "tmpfs", 0)
        (source / "below").mkdir()
        m.mount("tmpfs", str(source / "below"), "tmpfs", 0)
        tree = m.open_tree(m.AT_FDCWD, str(source), m.OPEN_TREE_CLONE | m.AT_RECURSIVE)
        m.mount_setattr(tree, "", m.AT_RECURSIVE, m.MountAttr(attr_set=m.MOUNT_ATTR_RDONLY))
        m.move_mount(tree, "", m.AT_FDCWD, str(target))
        return [found(p).options for p in (source, source / "below", target, target / "below")]

    assert in_namespace(body) == ["rw,relatime", "rw,relatime", "ro,relatime", "ro,relatime"]


def test_what_the_kernel_says_about_a_bad_option_is_told() -> None:
    def body() -> tuple[int | None, str]:
        with m.FsContext("tmpfs") as fs:
            try:
                fs.set_string("nonsense", "1")
            except OSError as e:
                return e.errno, str(e)
        return None, ""

    number, text = in_namespace(body)
    assert number == errno.EINVAL
    assert "Unknown parameter 'nonsense'" in text


def test_pivot_root_leaves_only_the_new_root(tmp_path: Path) -> None:
    def body() -> list[str]:
        m.mount("tmpfs", str(tmp_path), "tmpfs", 0)
        os.mkdir(tmp_path / "proc")
        m.mount("proc", str(tmp_path / "proc"), "proc", 0)
        os.chdir(tmp_path)
        m.pivot_root(".", ".")
        m.umount2(".", m.MNT_DETACH)
        return sorted(info.mount_point for info in m.read_mountinfo())

    assert in_namespace(body) == ["/", "/proc"]


def test_mount_names_its_target() -> None:
    def body() -> str | None:
        try:
            m.mount("tmpfs", "/no/such/place", "tmpfs", 0)
        except FileNotFoundError as e:
            filename: str = e.filename
            return filename
        return None

    assert in_namespace(body) == "/no/such/place"
