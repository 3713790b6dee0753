"""No container changes an inode of the host by what the engine mounts into it or opens for it: default, all capabilities, exec, RUN.

The daemon's /dev/null is a node of the test's own, so that a failure harms nobody.
"""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.kernel.mount import read_mountinfo
from tests.support.daemon import IMAGE, Daemon, import_busybox, run_name

pytestmark = pytest.mark.privileged
ATTACK = """
try() {
  chmod 0640 $1; chown 7:7 $1; touch -h -d 2001-01-01 $1; touch -d 2001-01-01 $1; echo x >> $1
}
for place in $(awk '{print $5}' /proc/self/mountinfo) /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; do
  (try $place) 2> /tmp/errors
done
ls -l /proc/self/fd/0 > /dev/null && echo tried
"""
Status = tuple[int, int, int, int, int, list[str]]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Daemon]:
    daemon = Daemon(run_name("host-inodes"))
    try:
        daemon.start()
        null = daemon.root / "null"
        os.mknod(null, 0o20666, os.makedev(1, 3))
        os.chmod(null, 0o666)
        inside = ["nsenter", f"--mount=/proc/{daemon.namespace_pid}/ns/mnt"]
        subprocess.run([*inside, "mount", "--bind", null, "/dev/null"], check=True)
        daemon.kill()  # the next one's launcher and monitors open no other
        daemon.start()
        import_busybox(daemon)
        yield daemon
        daemon.stop()
    finally:
        daemon.remove()


def status(path: Path) -> Status:
    found = os.stat(path)
    return found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_ctime_ns, os.listxattr(path)


def host_files(daemon: Daemon) -> dict[str, Status]:
    return {str(path): status(path) for path in (daemon.root / "null", daemon.data_root / "docker-init")}


def create(daemon: Daemon, command: list[str], **host: Any) -> str:
    body = {"Image": IMAGE, "Cmd": command, "HostConfig": {"Init": True, **host}}
    container = str(daemon.call("POST", "/containers/create", body).ok()["Id"])
    daemon.call("POST", f"/containers/{container}/start").ok()
    return container


def remove(daemon: Daemon, container: str) -> None:
    daemon.call("DELETE", f"/containers/{container}?force=1").ok()


@pytest.mark.parametrize("host", [{}, {"CapAdd": ["ALL"]}], ids=["default", "all capabilities"])
def test_a_container_changes_no_host_inode(guarded: Daemon, host: dict[str, Any]) -> None:
    before = host_files(guarded)
    container = create(guarded, ["sh", "-c", ATTACK], **host)
    try:
        guarded.call("POST", f"/containers/{container}/wait").ok()
        assert b"tried" in guarded.call("GET", f"/containers/{container}/logs?stdout=1").body
    finally:
        remove(guarded, container)
    assert host_files(guarded) == before


@pytest.mark.parametrize("host", [{}, {"CapAdd": ["ALL"]}], ids=["default", "all capabilities"])
@pytest.mark.parametrize("null", ["kept", "replaced"])
def test_an_exec_changes_no_host_inode(guarded: Daemon, host: dict[str, Any], null: str) -> None:
    """Also where the container has put a link to a mask in place of its /dev/null."""
    before = host_files(guarded)
    replace = "rm /dev/null && ln -s /proc/keys /dev/null;" if null == "replaced" else ""
    container = create(guarded, ["sh", "-c", f"{replace} sleep 1000"], **host)
    try:
        assert b"tried" in execute(guarded, container, ATTACK)
    finally:
        remove(guarded, container)
    assert host_files(guarded) == before


def execute(daemon: Daemon, container: str, script: str) -> bytes:
    body = {"Cmd": ["sh", "-c", script], "AttachStdout": True, "AttachStderr": True}
    created = daemon.call("POST", f"/containers/{container}/exec", body).ok()["Id"]
    return daemon.call("POST", f"/exec/{created}/start", {}).body


def test_a_build_step_changes_no_host_inode(guarded: Daemon) -> None:
    before = host_files(guarded)
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in (("Dockerfile", f"FROM {IMAGE}\nCOPY attack /\nRUN sh /attack\n"), ("attack", ATTACK)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    answer = guarded.call("POST", "/build?nocache=1&t=attack", context.getvalue())
    assert b"tried" in answer.body, answer.body
    assert host_files(guarded) == before


@pytest.mark.parametrize("host", [{}, {"CapAdd": ["ALL"]}], ids=["default", "all capabilities"])
def test_mounts_of_host_file_systems_are_the_containers_own_files_or_read_only(guarded: Daemon, host: dict[str, Any]) -> None:
    container = create(guarded, ["sleep", "1000"], **host)
    try:
        pid = guarded.call("GET", f"/containers/{container}/json").ok()["State"]["Pid"]
        devices = {mount.device for mount in read_mountinfo(guarded.namespace_pid)}
        shared = [m for m in read_mountinfo(pid) if m.device in devices and f"/containers/{container}/" not in m.root]
        assert [m.mount_point for m in shared if "ro" not in m.options.split(",")] == []
    finally:
        remove(guarded, container)
