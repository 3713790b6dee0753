"""fsutil's receiver against clients good and bad; a folder of this machine, no network."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.api.buildkit.messages.session import DATA, FAILED, FINISHED, REQUEST, STAT, Packet, Stat
from corten.api.buildkit.session.modes import GO_CHAR, GO_DEVICE, GO_DIRECTORY, GO_PIPE, GO_SETUID, GO_SYMLINK, go_mode, permissions
from corten.api.buildkit.session.receiver import Receiver
from corten.errors import Invalid

END = Packet(STAT)
MOMENT = 1_700_000_000_123_456_789


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "in").mkdir()
    fd = os.open(tmp_path / "in", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def entry(path: str, mode: int = 0o644, **more: object) -> Packet:
    return Packet(STAT, Stat(path, mode, mod_time=MOMENT, **more))  # type: ignore[arg-type]


def sent(root: int, *packets: Packet) -> tuple[Receiver, list[Packet]]:
    receiver = Receiver(root)
    try:
        return receiver, receiver.take(packets)
    finally:
        receiver.close()


def test_a_tree(root: int, tmp_path: Path) -> None:
    receiver = Receiver(root)
    asked = receiver.take([
        entry("d", GO_DIRECTORY | 0o750),
        entry("d/file", 0o4755 & 0o777 | GO_SETUID, size=5),
        entry("d/hard", size=5, linkname="d/file"),
        entry("empty"),
        entry("link", GO_SYMLINK | 0o777, linkname="../../etc/passwd"),
        entry("pipe", GO_PIPE | 0o600),
        END,
    ])  # fmt: skip
    assert asked == [Packet(REQUEST, None, 1)]
    assert receiver.take([Packet(DATA, None, 1, b"he"), Packet(DATA, None, 1, b"llo"), Packet(DATA, None, 1)]) == [Packet(FINISHED)]
    receiver.close()
    found = tmp_path / "in"
    assert (found / "d/file").read_bytes() == b"hello"
    assert os.stat(found / "d/file").st_ino == os.stat(found / "d/hard").st_ino
    assert os.stat(found / "d/file").st_mtime_ns == MOMENT
    assert stat.S_IMODE(os.stat(found / "d/file").st_mode) == 0o4755
    assert stat.S_IMODE(os.stat(found / "d").st_mode) == 0o750
    assert os.readlink(found / "link") == "../../etc/passwd"
    assert stat.S_ISFIFO(os.lstat(found / "pipe").st_mode)
    assert receiver.received == 5


def test_what_did_not_change_is_not_asked_for(root: int, tmp_path: Path) -> None:
    first = [entry("a", size=1), entry("b", size=1), entry("old", GO_DIRECTORY | 0o755), entry("old/x", size=1), END]
    receiver = Receiver(root)
    assert [p.id for p in receiver.take(first)] == [0, 1, 3]
    receiver.take([p for n in (0, 1, 3) for p in (Packet(DATA, None, n, b"x"), Packet(DATA, None, n))])
    changed = Packet(STAT, Stat("b", 0o644, size=1, mod_time=MOMENT + 1))
    assert sent(root, entry("a", size=1), changed, entry("old", GO_SYMLINK, linkname="a"), END)[1] == [Packet(REQUEST, None, 1)]
    assert sorted(os.listdir(tmp_path / "in")) == ["a", "b", "old"]
    assert os.readlink(tmp_path / "in/old") == "a"


def test_a_file_that_grew_while_it_was_sent_is_asked_for_again(root: int) -> None:
    receiver = Receiver(root)
    receiver.take([entry("a", size=1), END, Packet(DATA, None, 0, b"longer"), Packet(DATA, None, 0)])
    assert receiver.is_complete
    assert sent(root, entry("a", size=1), END)[1] == [Packet(REQUEST, None, 0)]


@pytest.mark.parametrize(
    "packets",
    [
        [entry("../out")],
        [entry("/etc/passwd")],
        [entry("a/../../out")],
        [entry("a//b")],
        [entry("")],
        [entry(".")],
        [entry("a\0b")],
        [entry("x" * 5000)],
        [entry("nowhere/file")],
        [entry("file"), entry("file/below")],
        [entry("l", GO_SYMLINK, linkname="/etc"), entry("l/passwd")],
        [entry("b"), entry("a")],
        [entry("a"), entry("a")],
        [entry("dev", GO_DEVICE | GO_CHAR | 0o666, devmajor=1, devminor=3)],
        [entry("h", size=1, linkname="/etc/passwd")],
        [entry("h", size=1, linkname="../../etc/passwd")],
        [entry("l", GO_SYMLINK, linkname="/etc/passwd"), entry("m", size=1, linkname="l")],
        [Packet(DATA, None, 7, b"x")],
        [entry("a", size=3), Packet(DATA, None, 1, b"x")],
        [Packet(FINISHED)],
        [Packet(FAILED, None, 0, b"no such file")],
        [Packet(9)],
        [END, entry("late")],
    ],
)
def test_refused(root: int, tmp_path: Path, packets: list[Packet]) -> None:
    with pytest.raises(Invalid):
        sent(root, *packets)
    assert os.listdir(tmp_path) == ["in"]


def test_a_link_of_the_last_build_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "out", tmp_path / "in/d")
    sent(root, entry("d", GO_DIRECTORY | 0o755), entry("d/f"), END)
    assert os.listdir(tmp_path / "out") == []
    assert os.path.isfile(tmp_path / "in/d/f")


@pytest.mark.parametrize("mode", [0o100644, 0o104755, 0o40755, 0o41777, 0o120777, 0o10600, 0o20666, 0o60660])
def test_modes_there_and_back(mode: int) -> None:
    assert permissions(go_mode(mode)) == stat.S_IMODE(mode)
