"""Walking a tree that may be hostile. No privilege needed: openat2 is for everybody."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.kernel.openat2 import RESOLVE_NO_SYMLINKS, make_directory_in_root, make_file_in_root, open_in_root, openat2, split_clean


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    fd = os.open(tmp_path / "root", os.O_PATH)
    yield fd
    os.close(fd)


def place(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=8))
def test_split_clean_never_climbs(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert split_clean(path) == [part for part in os.path.normpath(path).split("/") if part]


def test_links_stay_inside(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "etc").mkdir()
    os.symlink("/etc", "absolute", dir_fd=root)
    os.symlink("../../../../etc", "climbing", dir_fd=root)
    for name in ("absolute", "climbing", "../../etc", "/etc"):
        assert place(open_in_root(root, name, os.O_PATH)) == str(tmp_path / "root" / "etc")


def test_magic_links_are_refused(root: int) -> None:
    proc = os.open("/proc", os.O_PATH)
    with pytest.raises(OSError) as caught:
        open_in_root(proc, "self/root", os.O_PATH)
    os.close(proc)
    assert caught.value.errno in (errno.ELOOP, errno.EXDEV)


def test_an_error_names_call_and_path(root: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        openat2(root, "nothing", os.O_PATH, 0, RESOLVE_NO_SYMLINKS)
    assert caught.value.filename == "nothing"
    assert "openat2" in str(caught.value)


def test_directories_are_made_behind_links_but_inside(root: int, tmp_path: Path) -> None:
    os.symlink("/run", "var", dir_fd=root)  # dangling until made
    assert place(make_directory_in_root(root, "/var/lib/../x/y")) == str(tmp_path / "root" / "run" / "x" / "y")
    os.symlink("../../outside", "escape", dir_fd=root)
    assert place(make_directory_in_root(root, "escape/deep")) == str(tmp_path / "root" / "outside" / "deep")
    assert list((tmp_path / "outside").iterdir()) == []


def test_files_are_made_once_and_found_after(root: int, tmp_path: Path) -> None:
    assert place(make_file_in_root(root, "/etc/hosts")) == str(tmp_path / "root" / "etc" / "hosts")
    assert place(make_file_in_root(root, "etc/hosts")) == str(tmp_path / "root" / "etc" / "hosts")
    os.symlink("/data/real", "link", dir_fd=root)
    assert place(make_file_in_root(root, "link")) == str(tmp_path / "root" / "data" / "real")


def test_a_circle_of_links_ends(root: int) -> None:
    os.symlink("b", "a", dir_fd=root)
    os.symlink("a", "b", dir_fd=root)
    with pytest.raises(OSError) as caught:
        make_directory_in_root(root, "a/x")
    assert caught.value.errno in (errno.ELOOP, errno.EEXIST, errno.ENOTDIR)


def test_a_file_is_no_directory(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_directory_in_root(root, "file/below")
