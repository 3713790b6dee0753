"""Binds are mount points too, though nothing but their mount id tells."""

from pathlib import Path

import pytest

from corten.kernel.mount import MNT_DETACH, MS_BIND, mount, umount2
from corten.kernel.mountpoint import is_mount_point


def test_a_directory_is_none(tmp_path: Path) -> None:
    assert not is_mount_point(str(tmp_path))
    assert not is_mount_point(str(tmp_path / "missing"))


@pytest.mark.privileged
def test_a_bind_is_one(tmp_path: Path) -> None:
    mount(str(tmp_path), str(tmp_path), None, MS_BIND)
    try:
        assert is_mount_point(str(tmp_path))
    finally:
        umount2(str(tmp_path), MNT_DETACH)
    assert not is_mount_point(str(tmp_path))
