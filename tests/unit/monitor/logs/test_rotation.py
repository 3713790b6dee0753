"""The numbered files of a log."""

from pathlib import Path

import pytest

from corten.monitor.logs.rotation import all_files, compressed_name, rotate, swap_compressed


def write(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder / "log")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_everything_moves_up_and_the_oldest_goes(tmp_path: Path) -> None:
    rotate(write(tmp_path, log="new", log_1="b", log_2="a"), 3)
    assert contents(tmp_path) == {"log.1": "new", "log.2": "b"}


def test_gzipped_files_keep_their_suffix(tmp_path: Path) -> None:
    rotate(write(tmp_path, log="new", log_1="b", log_2_gz="a"), 5)
    assert contents(tmp_path) == {"log.1": "new", "log.2": "b", "log.3.gz": "a"}


def test_a_gap_left_by_a_killed_rotation_is_closed_without_dropping_any(tmp_path: Path) -> None:
    rotate(write(tmp_path, log="new", log_2="b", log_3="a"), 4)
    assert contents(tmp_path) == {"log.1": "new", "log.2": "b", "log.3": "a"}


def test_killed_before_the_live_file_moved(tmp_path: Path) -> None:
    rotate(write(tmp_path, log_1="b"), 3)
    assert contents(tmp_path) == {"log.2": "b"}


def test_one_file_only(tmp_path: Path) -> None:
    rotate(write(tmp_path, log="old"), 1)
    assert contents(tmp_path) == {}


def test_newest_first(tmp_path: Path) -> None:
    path = write(tmp_path, log="d", log_1="c", log_2_gz="b", log_4="a")
    assert [Path(name).name for name in all_files(path, 6)] == ["log", "log.1", "log.2.gz", "log.4"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_gzipped_copy_goes_where_its_original_is_by_then(tmp_path: Path, number: int) -> None:
    path = write(tmp_path, log="live", **{f"log_{number}": "plain"})
    inode = (tmp_path / f"log.{number}").stat().st_ino
    Path(compressed_name(path, inode)).write_text("zipped")
    swap_compressed(path, inode, 3)
    assert contents(tmp_path) == {"log": "live", f"log.{number}.gz": "zipped"}


def test_a_gzipped_copy_of_a_file_that_is_gone_goes_too(tmp_path: Path) -> None:
    path = write(tmp_path, log="live")
    Path(compressed_name(path, 12345)).write_text("zipped")
    swap_compressed(path, 12345, 3)
    assert contents(tmp_path) == {"log": "live"}
