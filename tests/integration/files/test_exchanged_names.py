"""Whoever shares a folder with the engine exchanges what the engine makes there for a link to a file of the host, as fast as it can.

The writers are called directly, since a whole `docker cp` meets the moment less often; one test goes the whole way.
"""

import io
import os
import signal
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corten.build.files.copier import Copier, Stamp
from corten.build.files.tree import Tree
from corten.cli.archive.unpacking import PieceReader
from corten.cli.archive.unpacking import Unpacker as CliUnpacker
from corten.cli.errors import Failure
from corten.errors import EngineError
from corten.runtime.rootfs.copy_up import copy_tree
from corten.store.copytree import TreeCopy
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
NAMES = ("pipe", "node", "link")
SECONDS = 1.5


@contextmanager
def exchanging(folder: Path, victim: Path) -> Iterator[None]:
    """A process that puts a link to `victim` in the place of whatever appears."""
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            while True:
                for name in set(os.listdir(".")) - {"mine"}:
                    if not os.path.islink(name) or os.readlink(name) != str(victim):
                        os.symlink(victim, "mine")
                        os.rename("mine", name)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    os.mknod(folder / "node", stat.S_IFCHR, os.makedev(1, 3))
    os.symlink("anything", folder / "link")
    for name in NAMES:
        os.chown(folder / name, 1234, 1234, follow_symlinks=False)
        if name != "link":
            os.chmod(folder / name, 0o4777)
    return folder


def archive(source: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in NAMES:
            tar.add(source / name, name)
    return packed.getvalue()


def unpack(source: Path, target: Path) -> None:
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    unpacker = Unpacker(root, overlay=False)
    reader = TarReader(iter([archive(source)]))
    try:
        while (entry := reader.next_entry()) is not None:
            unpacker.add(entry, reader)
        unpacker.finish()
    finally:
        unpacker.close()
        os.close(root)


def unpack_by_cli(source: Path, target: Path) -> None:
    CliUnpacker(str(target), "", owners=True, whole=True).unpack(PieceReader([archive(source)]))


def between(source: Path, target: Path, copy: Callable[[int, int], None]) -> None:
    ends = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    try:
        copy(*ends)
    finally:
        for fd in ends:
            os.close(fd)


def copy_volume(source: Path, target: Path) -> None:
    between(source, target, TreeCopy().contents)


def copy_up(source: Path, target: Path) -> None:
    between(source, target, copy_tree)


def add(source: Path, target: Path) -> None:
    def copy(read: int, write: int) -> None:
        Copier(Tree(read), write, Stamp(owner=None)).copy("/", "/", into=True)

    between(source, target, copy)


@pytest.mark.parametrize("write", [unpack, unpack_by_cli, copy_volume, copy_up, add])
def test_no_file_of_the_host_changes(write: Callable[[Path, Path], None], source: Path, tmp_path: Path) -> None:
    victim, target = tmp_path / "victim", tmp_path / "target"
    victim.write_text("the host's")
    victim.chmod(0o600)
    target.mkdir()
    before = victim.stat()
    write(source, target)
    assert (target / "pipe").is_fifo(), "the writer must write at all"
    tries, deadline = 0, time.monotonic() + SECONDS
    with exchanging(target, victim):
        while time.monotonic() < deadline:
            tries += 1
            try:
                for name in os.listdir(target):
                    os.unlink(target / name)
                write(source, target)
            except (OSError, EngineError, Failure):
                continue
    after = victim.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode, before.st_uid, before.st_mtime_ns, before.st_ctime_ns,
    ), f"after {tries} tries"  # fmt: skip


def test_an_archive_put_into_a_running_container_that_exchanges_names(engine: Daemon, source: Path) -> None:
    """The link leads to a host file that is there under the same path: a file of the engine's own."""
    victim = engine.root / "victim"
    victim.write_text("the host's")
    victim.chmod(0o600)
    before = victim.stat()
    loop = f"cd /tmp; while :; do for n in {' '.join(NAMES)}; do ln -s {victim} mine; mv mine $n; done; done"
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", loop]}
    container = engine.call("POST", "/containers/create", body).ok()["Id"]
    try:
        engine.call("POST", f"/containers/{container}/start").ok()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            status = engine.call("PUT", f"/containers/{container}/archive?path=/tmp", archive(source)).status
            assert status in (200, 400), status
    finally:
        engine.call("DELETE", f"/containers/{container}?force=1").ok()
    assert victim.stat().st_ctime_ns == before.st_ctime_ns
