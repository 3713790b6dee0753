"""Folders of steps: apart for each engine, nobody else's, and cleared at the next start."""

import os
from pathlib import Path

import pytest

from corten.build.files.tempdirs import TempDirs


def test_engines_do_not_meet_and_clear_their_own(tmp_path: Path) -> None:
    memory = tmp_path / "shm"
    memory.mkdir()
    one, two = (TempDirs(str(tmp_path / name), str(memory)) for name in ("one", "two"))
    made = [Path(path) for path in (one.directory(), one.in_memory(), two.directory(), two.in_memory())]
    assert all(path.stat().st_mode & 0o77 == 0 and path.parent.stat().st_mode & 0o77 == 0 for path in made)
    TempDirs(str(tmp_path / "one"), str(memory)).clear()
    assert [path.exists() for path in made] == [False, False, True, True]


def test_what_lies_in_its_place_is_not_used(tmp_path: Path) -> None:
    """Anybody may make names in /dev/shm."""
    memory, elsewhere = tmp_path / "shm", tmp_path / "elsewhere"
    memory.mkdir()
    elsewhere.mkdir()
    tempdirs = TempDirs(str(tmp_path / "root"), str(memory))
    place = Path(tempdirs.in_memory()).parent
    tempdirs.clear()
    place.symlink_to(elsewhere)
    with pytest.raises(PermissionError):
        tempdirs.in_memory()
    (elsewhere / "file").write_text("stays")
    tempdirs.clear()
    assert os.listdir(elsewhere) == ["file"]
