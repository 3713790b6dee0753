"""Stacked directories: by appended layers where the kernel has that, and in the way that kernels before 6.7 know."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from corten.kernel import mount as m
from corten.kernel.namespaces import CLONE_NEWNS, unshare
from corten.kernel.overlay import OverlayStack, appends_layers, overlay
from tests.support.forked import ChildFailed, forked
from tests.support.refused_calls import refuse

pytestmark = pytest.mark.privileged
T = TypeVar("T")
RUNS_BOTH_WAYS = pytest.mark.parametrize("refused", [(), ("fsopen",)], ids=["this kernel's way", "the older way"])


def on_kernel_without(refused: tuple[str, ...], body: Callable[[], T]) -> T:
    def inside() -> T:
        refuse(*refused)
        appends_layers.cache_clear()
        assert appends_layers() is (not refused and release() >= (6, 7))
        return body()

    return forked(inside)


def release() -> tuple[int, ...]:
    return tuple(map(int, os.uname().release.split(".")[:2]))


def stack(folder: Path, count: int, *, writable: bool = True) -> OverlayStack:
    """Layers with a file of their number each, `top` in all, and names that mean something to overlayfs's option string."""
    lower = [folder / f"{'long,' * 10}with:signs-{number}" for number in range(count)]
    for number, layer in enumerate(lower):
        layer.mkdir(parents=True)
        (layer / str(number)).touch()
        (layer / "top").write_text(str(number))
    if not writable:
        return OverlayStack(tuple(map(str, lower)))
    for name in ("up,per", "work"):
        (folder / name).mkdir()
    return OverlayStack(tuple(map(str, lower)), str(folder / "up,per"), str(folder / "work"), ("volatile",))


@RUNS_BOTH_WAYS
def test_many_layers_with_an_upper_directory(refused: tuple[str, ...], tmp_path: Path) -> None:
    count = 300 if not refused and appends_layers() else 127
    made = stack(tmp_path, count)

    def body() -> tuple[set[str], str, bool]:
        before, descriptors = m.read_mountinfo(), os.listdir("/proc/self/fd")
        root = overlay(made)
        unchanged = m.read_mountinfo() == before
        names = set(os.listdir(f"/proc/self/fd/{root}"))
        with open("top", opener=lambda path, flags: os.open(path, flags, dir_fd=root)) as file:
            top = file.read()
        os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=root))
        os.close(root)
        return names, top, unchanged and os.listdir("/proc/self/fd") == descriptors

    assert on_kernel_without(refused, body) == ({*map(str, range(count)), "top"}, "0", True)
    assert (tmp_path / "up,per" / "new").exists()


@RUNS_BOTH_WAYS
def test_layers_alone_can_be_read_only(refused: tuple[str, ...], tmp_path: Path) -> None:
    made = stack(tmp_path, 2, writable=False)

    def body() -> None:
        root = overlay(made._replace(lower=made.lower * 2), m.MOUNT_ATTR_RDONLY)
        assert sorted(os.listdir(f"/proc/self/fd/{root}")) == ["0", "1", "top"]
        os.mkdir("no", dir_fd=root)

    with pytest.raises(ChildFailed, match="Read-only file system"):
        on_kernel_without(refused, body)


@RUNS_BOTH_WAYS
def test_the_mount_is_placed_anywhere(refused: tuple[str, ...], tmp_path: Path) -> None:
    made, place = stack(tmp_path, 3), tmp_path / "place"
    place.mkdir()

    def body() -> tuple[list[str], bool]:
        unshare(CLONE_NEWNS)
        m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)
        m.move_mount(overlay(made, own_namespace=True), "", m.AT_FDCWD, str(place))
        return sorted(os.listdir(place)), os.path.exists("/proc/self/stat")

    assert on_kernel_without(refused, body) == (["0", "1", "2", "top"], True)


@RUNS_BOTH_WAYS
def test_a_missing_layer_is_refused(refused: tuple[str, ...], tmp_path: Path) -> None:
    made = stack(tmp_path, 2)

    def body() -> None:
        overlay(made._replace(lower=(*made.lower, str(tmp_path / "missing"))))

    with pytest.raises(ChildFailed, match="FileNotFoundError"):
        on_kernel_without(refused, body)
