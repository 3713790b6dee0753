"""What a walk says of a tree against `du`: within one in a hundred, whatever the tree is made of."""

import os
import random
import subprocess
from pathlib import Path

import pytest

from corten.store.contents.figures import walk


def varied(root: Path, seed: int) -> None:
    """Small and large files, holes, hard links, symbolic links, empty and deep directories."""
    moves = random.Random(seed)
    folders: list[Path] = [root]
    files: list[Path] = []
    for number in range(moves.randrange(20, 400)):
        folder = moves.choice(folders)
        path = folder / f"n{number}"
        kind = moves.choice(("small", "small", "small", "large", "sparse", "hard", "link", "folder"))
        if kind == "folder":
            path.mkdir()
            folders.append(path)
        elif kind == "hard" and files:
            path.hardlink_to(moves.choice(files))
        elif kind == "link":
            path.symlink_to(moves.choice(("/", "..", "n1", "x" * 100)))
        else:
            path.write_bytes(bytes(moves.randrange(300_000) if kind == "large" else moves.randrange(3000)))
            if kind == "sparse":
                os.truncate(path, moves.randrange(1 << 22))
            files.append(path)


def du(root: Path) -> int:
    """`du`'s apparent size of all but directories, which Docker does not count either."""
    said = subprocess.run(["du", "--apparent-size", "--block-size=1", "-s", root], capture_output=True, check=True).stdout
    return int(said.split()[0]) - sum(os.stat(folder).st_size for folder, _, _ in os.walk(root))


@pytest.mark.parametrize("seed", range(12))
def test_a_walk_agrees_with_du(tmp_path: Path, seed: int) -> None:
    varied(tmp_path, seed)
    assert walk(str(tmp_path)).size == pytest.approx(du(tmp_path), rel=0.01)
