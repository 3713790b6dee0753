"""The folder in which an image's loader looks by itself, told from its ld.so.cache."""

import pytest

from corten.engine.devices.loader import library_folders

DEBIAN = "ld.so-1.7.0\0/lib/x86_64-linux-gnu/libc.so.6\0/lib64/ld-linux-x86-64.so.2\0/usr/lib/x86_64-linux-gnu/libz.so.1\0"
FEDORA = "glibc-ld.so.cache1.1\0/lib64/libc.so.6\0/lib64/ld-linux-x86-64.so.2\0"
ARCH = "glibc-ld.so.cache1.1\0/usr/lib/libc.so.6\0/usr/lib64/ld-linux-x86-64.so.2\0"


@pytest.mark.parametrize(
    ("cache", "folders"),
    [
        (DEBIAN, ["/usr/lib/x86_64-linux-gnu"]),
        (FEDORA, ["/usr/lib64"]),
        (ARCH, ["/usr/lib"]),
        ("", ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"]),
        ("\udcff garbage", ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"]),
    ],
)
def test_folders(cache: str, folders: list[str]) -> None:
    assert library_folders(lambda path: cache, "x86_64") == folders


def test_the_other_machine() -> None:
    assert library_folders(lambda path: "/lib/aarch64-linux-gnu/libc.so.6\0", "aarch64") == ["/usr/lib/aarch64-linux-gnu"]
