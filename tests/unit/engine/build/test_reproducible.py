"""Two trees that should be one: the first entry that is not the same, and what of it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from corten.engine.build.reproducible import Difference, first_difference


def grown(folder: Path) -> Path:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "file").write_text("text\n")
    (folder / "a" / "link").symlink_to("file")
    os.utime(folder / "a" / "link", ns=(5, 5), follow_symlinks=False)
    (folder / "b").write_text("more\n")
    for path in (folder / "a" / "file", folder / "b", folder / "a"):
        path.chmod(0o755)
        os.utime(path, ns=(5, 5))
    return folder


@pytest.mark.parametrize(
    ("change", "path", "what"),
    [
        (lambda f: (f / "b").write_text("most\n"), "b", "content, 5 and 5 bytes, from byte 2"),
        (lambda f: (f / "b").write_text("more\nx"), "b", "content, 5 and 6 bytes, from byte 5"),
        (lambda f: (f / "b").chmod(0o700), "b", "mode 755 and 700"),
        (lambda f: os.utime(f / "a" / "file", ns=(5, 6)), "a/file", "mtime 5 and 6"),
        (lambda f: (f / "a" / "new").touch(), "a/new", "only in the second build"),
        (lambda f: (f / "b").unlink(), "b", "only in the first build"),
        (lambda f: relink(f / "a" / "link"), "a/link", "link to file and to b"),
        (lambda f: swap(f / "b"), "b", "another kind of file"),
        (lambda f: os.setxattr(f / "b", "user.x", b"1"), "b", "extended attributes {} and {'user.x': b'1'}"),
        (lambda f: os.link(f / "b", f / "c"), "b", "hard links 1 and 2"),
    ],
    ids=["content", "longer", "mode", "mtime", "new", "gone", "link", "kind", "xattr", "hard-links"],
)
def test_first_difference(tmp_path: Path, change: Callable[[Path], object], path: str, what: str) -> None:
    one, other = grown(tmp_path / "one"), grown(tmp_path / "other")
    assert first_difference(str(one), str(other)) is None
    change(other)
    os.utime(other / "a", ns=(5, 5))
    if what.startswith("content") or "new" in path:
        os.utime(other / path, ns=(5, 5), follow_symlinks=False)
    assert first_difference(str(one), str(other)) == Difference(path, what)


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("b")


def swap(path: Path) -> None:
    path.unlink()
    path.mkdir()
