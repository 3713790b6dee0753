"""Headers made by hand are the ones that `tarfile` makes."""

import tarfile

import pytest

from corten.cli.archive.headers import file_header

NAMES = ("options.json", "secret/a", "n" * 100, "n" * 101, "folder/" * 30 + "file", "größe", "\udcff raw")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 1, 512, 0o77777777777, 0o77777777777 + 1])
def test_header_is_tarfiles(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    assert file_header(name, size, 0o600) == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
