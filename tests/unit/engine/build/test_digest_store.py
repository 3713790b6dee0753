"""FileDigests that are kept from build to build: they save reading, and damage to them costs nothing else."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.build.files.digests import FileDigests
from corten.engine.build.contexts import digest_store
from corten.engine.build.contexts.digest_store import DigestStore

ENTRY = (5, 10, 20, b"\7" * 32)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "context").mkdir()
    fd = os.open(tmp_path / "context", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def _noted(entries: dict[tuple[int, int], tuple[int, int, int, bytes]]) -> FileDigests:
    digests = FileDigests(dict(entries), private=False)
    digests.is_changed = True
    return digests


def _entries(digests: FileDigests) -> dict[tuple[int, int], tuple[int, int, int, bytes]]:
    return dict(digests.kept(10**6))


def test_what_is_kept_comes_back(root: int, folder: Path) -> None:
    DigestStore(str(folder)).keep(root, _noted({(1, 2): ENTRY}), time.time_ns())
    assert _entries(DigestStore(str(folder)).digests(root)) == {(1, 2): ENTRY}
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_for_nothing_new(root: int, folder: Path) -> None:
    DigestStore(str(folder)).keep(root, FileDigests({(1, 2): ENTRY}, private=False), 0)
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "version", "more"])
def test_damage_is_as_if_nothing_was_read(root: int, folder: Path, damage: str) -> None:
    kept = DigestStore(str(folder))
    kept.keep(root, _noted({(1, n): ENTRY for n in range(9)}), 0)
    (path,) = folder.iterdir()
    raw = path.read_bytes()
    damaged = {
        "cut": raw[:-72],
        "bit": raw[:99] + bytes([raw[99] ^ 1]) + raw[100:],
        "empty": b"",
        "version": b"X" + raw[1:],
        "more": raw + raw,
    }
    path.write_bytes(damaged[damage])
    assert _entries(kept.digests(root)) == {}


def test_after_a_boot_only_old_files_are_trusted(root: int, folder: Path) -> None:
    """What was in a file when the power went may be older than its times tell."""
    now = 10**18
    hour = 3600 * 10**9
    kept = DigestStore(str(folder), boot="a" * 36)
    kept.keep(root, _noted({(1, 1): (5, 0, now - hour, b"\7" * 32), (1, 2): (5, 0, now - 10**9, b"\7" * 32)}), now)
    assert len(_entries(kept.digests(root))) == 2
    assert list(_entries(DigestStore(str(folder), boot="b" * 36).digests(root))) == [(1, 1)]


def test_folders_and_bytes_are_limited(tmp_path: Path, folder: Path) -> None:
    kept = DigestStore(str(folder))
    for number in range(digest_store.MOST_FOLDERS + 5):
        context = tmp_path / f"context-{number}"
        context.mkdir()
        fd = os.open(context, os.O_RDONLY)
        kept.keep(fd, _noted({(1, number): ENTRY}), 0)
        os.close(fd)
        for path in folder.iterdir():
            os.utime(path, ns=(path.stat().st_mtime_ns - 10**9,) * 2)
    assert len(list(folder.iterdir())) == digest_store.MOST_FOLDERS
    fd = os.open(tmp_path / "context-0", os.O_RDONLY)
    assert _entries(kept.digests(fd)) == {}
    os.close(fd)


def test_of_too_many_files_the_last_builds_stay() -> None:
    digests = FileDigests({(1, n): ENTRY for n in range(10)}, private=False)
    found = os.stat_result((0, 7, 1, 0, 0, 0, 5, 0, 0, 0), {"st_mtime_ns": 10, "st_ctime_ns": 20})
    assert digests.find(found) == ENTRY[3]
    assert next(iter(dict(digests.kept(3)))) == (1, 7)
    assert len(dict(digests.kept(3))) == 3


def test_a_place_that_cannot_be_written_is_no_error(root: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = DigestStore(str(tmp_path / "file" / "below"))
    kept.keep(root, _noted({(1, 2): ENTRY}), 0)
    assert _entries(kept.digests(root)) == {}
