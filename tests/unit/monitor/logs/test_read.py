"""Reading a log's files and finding its tail."""

import gzip
from pathlib import Path

import pytest

from corten.monitor.logs import read
from corten.monitor.logs.read import LogFile, blocks, keep_tail, open_log


def make_log(folder: Path, sizes: list[int], *, zipped: set[int] | None = None) -> tuple[str, list[bytes]]:
    """Files oldest first, with so many numbered lines each; those in `zipped` (by index) are gzipped."""
    lines = [b"%06d %s\n" % (n, b"x" * (n % 50)) for n in range(sum(sizes))]
    at = 0
    for index, size in enumerate(sizes):
        number = len(sizes) - 1 - index
        data = b"".join(lines[at : at + size])
        at += size
        if zipped and index in zipped:
            (folder / f"log.{number}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / (f"log.{number}" if number else "log")).write_bytes(data)
    return str(folder / "log"), lines


def read_all(files: list[LogFile], end: tuple[int, int] | None = None) -> bytes:
    try:
        return b"".join(blocks(files, end))
    finally:
        for file in files:
            file.close()


def test_all_files_in_their_order(tmp_path: Path) -> None:
    path, lines = make_log(tmp_path, [3, 20000, 5], zipped={0})
    assert read_all(open_log(path, 10)) == b"".join(lines)


def test_no_file(tmp_path: Path) -> None:
    assert open_log(str(tmp_path / "log"), 10) == []


@pytest.mark.parametrize("tail", [0, 1, 4, 5, 6, 105, 106, 20105, 20106, 30000])
def test_tail(tmp_path: Path, tail: int) -> None:
    path, lines = make_log(tmp_path, [30, 20000, 100, 5], zipped={1})
    files = keep_tail(open_log(path, 10), tail)
    assert read_all(files) == b"".join(lines[len(lines) - tail :] if tail < len(lines) else lines)


def test_tail_reads_only_the_end(tmp_path: Path) -> None:
    path, _ = make_log(tmp_path, [200_000])
    (file,) = keep_tail(open_log(path, 10), 10)
    assert file.size - file.position < read.BLOCK
    file.close()


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    (file,) = keep_tail(open_log(str(path), 10), 1)
    assert file.block() == b"one\n"
    assert file.block() == b""
    with path.open("ab") as writer:
        writer.write(b"o\nthree\n")
    assert file.block() == b"two\nthree\n"
    file.close()


def test_up_to_a_point(tmp_path: Path) -> None:
    path, lines = make_log(tmp_path, [3, 10])
    files = open_log(path, 10)
    before = sum(map(len, lines[3:7]))
    assert read_all(files, (files[-1].inode, before)) == b"".join(lines[:7])


def test_a_point_in_a_file_that_is_rotated_by_now(tmp_path: Path) -> None:
    path, lines = make_log(tmp_path, [3, 10])
    files = open_log(path, 10)
    assert read_all(files, (files[0].inode, files[0].size)) == b"".join(lines[:3])
