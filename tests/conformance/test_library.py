"""The runtime called in one's own process, as the monitor does: what the command line does not show."""

import os
import select
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.errors import Conflict, EngineError
from corten.kernel.process import prctl_set_dumpable
from corten.runtime.commands.template import template
from corten.runtime.runtime import Runtime
from corten.runtime.values import CreateOptions, RootMount, Stdio
from tests.conformance.harness import Bundle
from tests.support.forked import forked

pytestmark = pytest.mark.privileged


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_RDWR)
    yield fd
    os.close(fd)


def overlay(bundle: Bundle, layers: int = 1) -> tuple[RootMount, ...]:
    """The bundle's root as the lowest of some layers."""
    folders = [bundle.directory / f"layer{i}" for i in range(layers - 1)]
    for folder in (*folders, bundle.directory / "upper", bundle.directory / "work"):
        folder.mkdir(exist_ok=True)
    options = [f"lowerdir+={path}" for path in (*folders, bundle.rootfs)]
    return (
        {
            "type": "overlay",
            "source": "overlay",
            "options": [*options, f"upperdir={bundle.directory}/upper", f"workdir={bundle.directory}/work"],
        },
    )


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_an_overlay_is_mounted_where_the_host_does_not_see_it(bundle: Bundle, null: int) -> None:
    runtime = Runtime(str(bundle.state_root))
    before = Path("/proc/self/mountinfo").read_text()
    bundle.shell("echo x > /new; exit 3")
    options = CreateOptions(root_mounts=overlay(bundle, layers=200))
    created = runtime.create(bundle.id, bundle.config, bundle=str(bundle.directory), io=Stdio(null, null, null), options=options)
    assert Path("/proc/self/mountinfo").read_text() == before
    created.start()
    assert ended(created.pid) == 3
    os.close(created.pidfd)
    assert (bundle.directory / "upper" / "new").read_text() == "x\n"
    assert not (bundle.rootfs / "new").exists()
    runtime.delete(created.state)


def test_nothing_is_left_open_or_unreaped(bundle: Bundle, null: int) -> None:
    """Whatever succeeded or failed, with a terminal or without."""
    runtime = Runtime(str(bundle.state_root))
    bundle.process["args"] = ["sleep", "100"]

    def execute(state: Any, program: str, *, terminal: bool) -> None:
        try:
            made = runtime.execute(state, {**bundle.process, "args": [program]}, Stdio(null, null, null, terminal))
        except EngineError:
            return
        os.waitpid(made.pid, 0)
        for fd in (made.pidfd, made.console_fd):
            if fd is not None:
                os.close(fd)

    def cycle(*, terminal: bool) -> None:
        io = Stdio(null, null, null, terminal)
        created = runtime.create(bundle.id, bundle.config, bundle=str(bundle.directory), io=io)
        with pytest.raises(Conflict):
            runtime.create(bundle.id, bundle.config, bundle=str(bundle.directory), io=io)
        created.start()
        for program in ("true", "no-such-program"):
            execute(created.state, program, terminal=terminal)
        runtime.kill(created.state, 9)
        os.waitpid(created.pid, 0)
        for fd in (created.pidfd, created.console_fd):
            if fd is not None:
                os.close(fd)
        runtime.delete(created.state)

    def fail() -> None:
        with pytest.raises(EngineError):
            runtime.create(
                bundle.id,
                {**bundle.config, "process": {**bundle.process, "args": ["no"]}},
                bundle=str(bundle.directory),
                io=Stdio(null, null, null),
            )

    bundle.process["terminal"] = False
    cycle(terminal=False)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(2):
        cycle(terminal=False)
        cycle(terminal=True)
        fail()
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir(bundle.state_root) == []


def test_an_abandoned_container_leaves_nothing(bundle: Bundle, null: int) -> None:
    runtime = Runtime(str(bundle.state_root))
    created = runtime.create(bundle.id, bundle.config, bundle=str(bundle.directory), io=Stdio(null, null, null))
    assert runtime.status(created.state) == "running"  # nobody else could start it, so nobody is told that it waits
    created.abandon()
    assert os.listdir(bundle.state_root) == []
    assert not Path(f"/proc/{created.pid}").exists()


def test_a_creator_that_dies_takes_the_waiting_process_along(bundle: Bundle, null: int) -> None:
    def body() -> int:
        made = Runtime(str(bundle.state_root)).create(bundle.id, bundle.config, bundle=str(bundle.directory), io=Stdio(null, null, null))
        return made.pid

    pid = forked(body)
    deadline = select.poll()
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        deadline.poll(10)
    pytest.fail("it still waits")


def test_without_privileges(null: int) -> None:
    """In a user namespace that maps only the caller."""
    directory = Path(tempfile.mkdtemp(prefix="corten-rootless-", dir="/tmp"))
    try:
        bundle = Bundle(directory / "bundle", "rootless")
        os.chmod(directory, 0o755)
        os.chown(directory / "bundle", 1000, 1000)

        def body() -> tuple[int, list[str], str]:
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            prctl_set_dumpable(True)  # as after an exec
            config = template(rootless=True)
            script = "id -u; cat /proc/self/uid_map; ls /dev/null /proc/self/exe; touch /x"
            config["process"] |= {"terminal": False, "args": ["sh", "-c", script]}
            reading, writing = os.pipe()
            runtime = Runtime(str(bundle.state_root))
            created = runtime.create("rootless", config, bundle=str(bundle.directory), io=Stdio(null, writing, writing))
            os.close(writing)
            created.start()
            with os.fdopen(reading) as out:
                text = out.read()
            status = ended(created.pid)
            runtime.delete(created.state)
            return status, created.warnings, text

        status, warnings, text = forked(body)
        assert status != 0
        assert any("no limits" in warning for warning in warnings)
        lines = text.splitlines()
        assert lines[0] == "0"
        assert lines[1].split() == ["0", "1000", "1"]
        assert lines[2:4] == ["/dev/null", "/proc/self/exe"]
        assert "Read-only" in lines[4]
    finally:
        shutil.rmtree(directory)
