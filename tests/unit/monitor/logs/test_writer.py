"""Writing a log, and a successor that goes on after a kill at any instant."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.monitor.logs.journal import JOURNAL_AT, Intent, Journal, Mark, settle
from corten.monitor.logs.read import blocks, open_log
from corten.monitor.logs.writer import LogWriter
from corten.monitor.values import LogSpec
from tests.unit.monitor.logs.dockers_copier import parsed


@pytest.fixture
def memory() -> Iterator[int]:
    fd = os.memfd_create("test")
    yield fd
    os.close(fd)


def spec(folder: Path, *, size: int = -1, files: int = 3) -> LogSpec:
    return {"driver": "json-file", "path": str(folder / "log"), "max_size": size, "max_file": files}


def written(folder: Path, files: int = 1000) -> list[tuple[str, str]]:
    opened = open_log(str(folder / "log"), files)
    text = b"".join(blocks(opened))
    for file in opened:
        file.close()
    return [(stream, log) for log, stream, _ in parsed(text)]


def open_writer(log: LogSpec, memory: int) -> tuple[LogWriter, list[int]]:
    rotated: list[int] = []
    return LogWriter(log, Journal(memory), on_rotated=rotated.append), rotated


def test_two_streams(tmp_path: Path, memory: int) -> None:
    writer, _ = open_writer(spec(tmp_path), memory)
    writer.write(1, b"out\npar")
    writer.write(2, b"err\n")
    assert (writer.logged(1), writer.logged(2)) == (4, 4)
    writer.write(1, b"part\n")
    writer.write(2, b"no newline", final=True)
    writer.close()
    assert written(tmp_path) == [("stdout", "out\n"), ("stderr", "err\n"), ("stdout", "part\n"), ("stderr", "no newline")]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_files_are_about_as_big_as_was_asked(tmp_path: Path, memory: int) -> None:
    writer, rotated = open_writer(spec(tmp_path, size=1000, files=100), memory)
    lines = [b"%d\n" % n for n in range(500)]
    writer.write(1, b"".join(lines))
    writer.close()
    assert [log.encode() for _, log in written(tmp_path)] == lines
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert max(sizes) < 1100
    assert len(sizes) == len(rotated) + 1


def test_only_the_newest_files_are_kept(tmp_path: Path, memory: int) -> None:
    writer, _ = open_writer(spec(tmp_path, size=1000, files=3), memory)
    for n in range(500):
        writer.write(1, b"%d\n" % n)
    writer.close()
    found = [int(log) for _, log in written(tmp_path)]
    assert len(list(tmp_path.iterdir())) == 3
    assert found == list(range(found[0], 500))


def test_a_single_file_starts_anew(tmp_path: Path, memory: int) -> None:
    writer, rotated = open_writer(spec(tmp_path, size=200, files=1), memory)
    for n in range(20):
        writer.write(1, b"%d\n" % n)
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert written(tmp_path)[-1] == ("stdout", "19\n")
    assert rotated == []


def test_a_later_run_appends(tmp_path: Path, memory: int) -> None:
    for text in (b"first\n", b"second\n"):
        os.pwrite(memory, b"\0" * 80, JOURNAL_AT)
        writer, _ = open_writer(spec(tmp_path), memory)
        writer.write(1, text)
        writer.close()
    assert written(tmp_path) == [("stdout", "first\n"), ("stdout", "second\n")]


@pytest.mark.parametrize("cut", [0, 1, 30, 71, 72, 100, 143, 144])
def test_a_successor_repeats_a_write_that_was_not_whole(tmp_path: Path, memory: int, cut: int) -> None:
    """Killed within the second write, of which `cut` bytes are in the file."""
    writer, _ = open_writer(spec(tmp_path), memory)
    writer.write(2, b"before\n")
    start = (tmp_path / "log").stat().st_size
    writer.write(1, b"a\nb\n")
    writer.close()
    whole = (tmp_path / "log").stat().st_size - start
    os.truncate(tmp_path / "log", start + min(cut, whole))
    successor, _ = open_writer(spec(tmp_path), memory)
    assert successor.logged(2) == 7
    assert successor.logged(1) == (4 if cut >= whole else 0)
    successor.write(1, b"a\nb\nc\n"[successor.logged(1) :])
    successor.close()
    assert written(tmp_path) == [("stderr", "before\n"), ("stdout", "a\n"), ("stdout", "b\n"), ("stdout", "c\n")]


def test_a_successor_knows_of_a_line_in_pieces(tmp_path: Path, memory: int) -> None:
    writer, _ = open_writer(spec(tmp_path), memory)
    writer.write(1, b"x" * 16384)
    writer.close()
    successor, _ = open_writer(spec(tmp_path), memory)
    successor.write(1, b"y\n")
    successor.close()
    times = {time for _, _, time in parsed((tmp_path / "log").read_bytes())}
    assert len(times) == 1


def test_killed_just_after_a_rotation(tmp_path: Path, memory: int) -> None:
    writer, _ = open_writer(spec(tmp_path, size=100), memory)
    writer.write(1, b"one\n" * 2)
    writer.close()
    os.rename(tmp_path / "log", tmp_path / "log.1")
    successor, _ = open_writer(spec(tmp_path, size=100), memory)
    assert successor.logged(1) == 8
    successor.close()


def test_a_full_disk_leaves_no_half_entry(tmp_path: Path, memory: int) -> None:
    """/dev/full cannot be cut back, so the disk is a pipe's write end closed for writing: any write error will do."""
    writer, _ = open_writer(spec(tmp_path), memory)
    writer.write(1, b"kept\n")
    full = Full(writer)
    with full, pytest.raises(OSError):
        writer.write(1, b"lost\n" * 1000)
    writer.drop(1, 5000)
    writer.write(1, b"kept again\n")
    assert writer.logged(1) == 5 + 5000 + 11
    writer.close()
    assert written(tmp_path) == [("stdout", "kept\n"), ("stdout", "kept again\n")]
    successor, _ = open_writer(spec(tmp_path), memory)
    assert successor.logged(1) == 5016
    successor.close()


class Full:
    """No file of this process may grow beyond where the log is now, and a little."""

    def __init__(self, writer: LogWriter) -> None:
        self._size = writer.end[1] + 100

    def __enter__(self) -> None:
        import resource
        import signal

        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._resource = resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._limit[1]))

    def __exit__(self, *_: object) -> None:
        import signal

        self._resource.setrlimit(self._resource.RLIMIT_FSIZE, self._limit)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_settle_cuts_back_only_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    fd = os.open(path, os.O_WRONLY)
    intent = Intent(os.fstat(fd).st_ino, 4, 10, 1, (Mark(1), Mark(2)), Mark(9))
    assert settle(intent, fd) == (Mark(1), Mark(2))
    assert path.read_bytes() == b"0123"
    assert settle(intent._replace(inode=1), fd) == (Mark(9), Mark(2))
    assert settle(None, fd) == (Mark(), Mark())
    os.close(fd)
