"""What a COPY's files are called: by names, modes and bytes, wherever they lie and however large they are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.build.files.tree import Tree

SIZES = (0, 1, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, 300 << 10)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield Tree(root, own=False)
    os.close(root)


def _again(tree: Tree) -> Tree:
    """It remembers what it has read."""
    return Tree(tree.root, own=False)


def _written(folder: Path) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for number, size in enumerate(SIZES):
        (folder / f"f{number}").write_bytes(b"x" * size)
        (folder / f"f{number}").chmod(0o644)
    return folder


def test_every_byte_counts_whatever_the_size(tree: Tree, tmp_path: Path) -> None:
    folder = _written(tmp_path / "one")
    seen = {tree.digest("one")}
    for number, size in enumerate(SIZES):
        (folder / f"f{number}").write_bytes(b"x" * (size - 1) + b"y")
        seen.add(_again(tree).digest("one"))
    assert len(seen) == 1 + len(SIZES)


def test_the_place_does_not_count(tree: Tree, tmp_path: Path) -> None:
    _written(tmp_path / "one")
    _written(tmp_path / "deep" / "inside" / "two")
    assert tree.digest("one") == tree.digest("deep/inside/two")


def test_recipes_of_caches_elsewhere_stay_valid(tree: Tree, tmp_path: Path) -> None:
    """Caches travel between engines of several versions: another digest of the same files makes all of them useless."""
    _written(tmp_path / "one")
    assert tree.digest("one") == "5fcdbd278bc81578e74de15e54ad4e8c391ffe3bd51435dbb39498a15c51ef17"
