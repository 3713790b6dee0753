"""COPY --link: where its layer may be made without the layers below."""

import os
from pathlib import Path

import pytest

from corten.build.files.copy_link import fits_anywhere


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "plain/inner").mkdir(parents=True)
    (tmp_path / "private").mkdir()
    (tmp_path / "way").symlink_to("plain")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "plain", tmp_path / "plain/inner"):
        path.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
    (tmp_path / "private").chmod(0o700)
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="folders of root are what images have")
@pytest.mark.parametrize(
    ("target", "changed", "fits"),
    [
        ("/new", False, True),
        ("/new/deep/er/", True, True),
        ("/", False, True),
        ("/file", False, True),
        ("/plain/new", False, True),
        ("/plain/inner/", False, True),
        ("/plain/new", True, False),
        ("/plain/inner", False, False),
        ("/private/new", False, False),
        ("/way/new", False, False),
        ("/way", False, False),
        ("/file/new", False, False),
    ],
)
def test_fits(root: Path, target: str, changed: bool, fits: bool) -> None:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert fits_anywhere(fd, target, changed=changed) is fits
    finally:
        os.close(fd)
