"""What the engine writes is closed to the machine's other users: also where an older engine, or an administrator, left folders open."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import IMAGE, Daemon, import_busybox, run_name
from tests.support.forked import forked
from tests.support.images import add

pytestmark = pytest.mark.privileged
NOBODY = 65534
OPEN = frozenset(("cortend.pid",))
"""Holds nothing that /proc does not tell."""


@pytest.fixture(scope="module")
def opened() -> Iterator[Daemon]:
    """Its folders were there before, 0755, with files for all to read."""
    daemon = Daemon(run_name("private-files"))
    try:
        daemon.root.chmod(0o755)
        daemon.start()
        daemon.stop()
        for root in (daemon.data_root, daemon.exec_root):
            for path in (root, *root.rglob("*")):
                if not path.is_symlink() and not path.is_socket():
                    path.chmod(0o755 if path.is_dir() else 0o644)
        daemon.start()
        import_busybox(daemon)
        yield daemon
        daemon.stop()
    finally:
        daemon.remove()


def readable(root: Path) -> list[str]:
    """Files that others can open and folders that others can list."""
    found = []
    for folder, folders, files in os.walk(root):
        if os.access(folder, os.R_OK):
            found.append(folder)
        found += [os.path.join(folder, name) for name in files if can_read(os.path.join(folder, name))]
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
    return found


def can_read(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def by_nobody(root: Path, known: list[str]) -> list[str]:
    """What the user nobody reads below `root`: what it finds itself, and of the paths that root knows."""

    def body() -> list[str]:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return sorted({*readable(root), *filter(can_read, known)})

    return forked(body)


def paths_of(root: Path) -> list[str]:
    return [os.path.join(folder, name) for folder, folders, files in os.walk(root) for name in (*folders, *files)]


def test_another_user_reads_nothing(opened: Daemon) -> None:
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", "echo secret; echo kept > /vol/file; sleep 1000"], "Env": ["SECRET=1"]}
    host = {"Binds": ["private:/vol"], "IpcMode": "shareable", "LogConfig": {"Type": "json-file", "Config": {"max-size": "10"}}}
    container = opened.call("POST", "/containers/create", body | {"HostConfig": host}).ok()["Id"]
    opened.call("POST", f"/containers/{container}/start").ok()
    created = opened.call("POST", f"/containers/{container}/exec", {"Cmd": ["env"], "Env": ["SECRET=2"], "AttachStdout": True}).ok()["Id"]
    assert b"SECRET=2" in opened.call("POST", f"/exec/{created}/start", {}).body
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        add(tar, "Dockerfile", f"FROM {IMAGE}\nARG SECRET\nCOPY . /c\nRUN --mount=type=cache,target=/k echo $SECRET > /k/s\n".encode())
    built = opened.call("POST", "/build?t=private&buildargs=%7B%22SECRET%22%3A%223%22%7D", context.getvalue())
    assert b"Successfully built" in built.body, built.body
    opened.call("POST", "/networks/create", {"Name": "private"}).ok()
    for root in (opened.data_root, opened.exec_root):
        known = paths_of(root)
        assert len(known) > 5, "there must be something to look for"
        assert [path for path in by_nobody(root, known) if os.path.basename(path) not in OPEN] == []


def test_folders_and_files_that_were_open_are_closed(opened: Daemon) -> None:
    """Also to a group: whoever may traverse the data root, as a remapped root, reads nothing by it."""
    database = opened.data_root / "corten.db"
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE(opened.data_root.stat().st_mode) & 0o067 == 0
    assert stat.S_IMODE(opened.exec_root.stat().st_mode) & 0o066 == 0
    for folder in (opened.exec_root / "containers", opened.exec_root / "state", opened.data_root / "containers"):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o007 == 0, folder
