"""podman drives `corten-runtime` through its conmon, as it drives crun: the commands a user types, with ours named by --runtime."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.harness import IS_OURS, RUNTIME
from tests.support.images import busybox_tar

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(180)]
IMAGE = "corten-podman-test"
OUR_PROGRAM = str(Path(sys.executable).parent / "corten-runtime")
_STORAGE = '[storage]\ndriver = "overlay"\nrunroot = "{0}/run"\ngraphroot = "{0}/store"\n'
_ENGINE = (
    '[containers]\ndefault_ulimits = []\n[network]\nfirewall_driver = "none"\n'
    '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nlock_type = "file"\ntmp_dir = "{0}/tmp"\n'
)
_HIDE_THE_HOST = "for d in /run /dev/shm /var/lib; do mount -t tmpfs none $d; done; echo ready; exec sleep 1000000"


class Podman:
    """podman with a storage of its own, in network and mount namespaces of its own that hide the host's /run and /var/lib."""

    def __init__(self, root: Path, holder: int) -> None:
        self._holder = holder
        self._environment = {**os.environ, "CONTAINERS_CONF": f"{root}/engine.conf", "CONTAINERS_STORAGE_CONF": f"{root}/storage.conf"}
        (root / "engine.conf").write_text(_ENGINE.format(root))
        (root / "storage.conf").write_text(_STORAGE.format(root))

    def call(self, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        runtime = OUR_PROGRAM if IS_OURS else RUNTIME
        inside = [sys.executable, "-m", "tests.support.isolated", "--join", str(self._holder)]
        command = [*inside, "podman", "--runtime", runtime, *words]
        return subprocess.run(command, input=stdin, capture_output=True, env=self._environment, timeout=90, check=False)

    def ok(self, *words: str) -> str:
        done = self.call(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.decode()

    def once(self, *words: str) -> str:
        """`run --rm` of these options and this command, without a network."""
        return self.ok("run", "--rm", "--network=none", *words)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    root = tmp_path_factory.mktemp("podman")
    before = cgroups()
    command = [sys.executable, "-m", "tests.support.isolated", "sh", "-c", _HIDE_THE_HOST]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        made = Podman(root, holder.pid)
        try:
            assert made.call("import", "-", IMAGE, stdin=busybox_tar()).returncode == 0
            yield made
        finally:
            made.call("pod", "rm", "--all", "--force", "--time=0")
            made.call("rm", "--all", "--force", "--time=0")
            holder.kill()
    _remove_parents()
    assert cgroups() <= before


def cgroups() -> set[str]:
    return {str(path) for path in Path("/sys/fs/cgroup").glob("*/libpod_parent/*/")}


def _remove_parents() -> None:
    """podman leaves its own."""
    for parent in Path("/sys/fs/cgroup").glob("*/libpod_parent"):
        for group in sorted(parent.glob("**/"), reverse=True):
            try:
                group.rmdir()
            except OSError:
                pass


@pytest.fixture
def running(podman: Podman) -> Iterator[str]:
    """A container that writes a line and ends with 3 when it is told to stop."""
    script = "trap 'echo told; exit 3' TERM; echo started; while :; do sleep 0.05; done"
    yield podman.ok("run", "-d", "--network=none", IMAGE, "sh", "-c", script).strip()
    podman.call("rm", "--force", "--time=0", "--all")


def wait_for_log(podman: Podman, container: str, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in podman.ok("logs", container):
        assert time.monotonic() < deadline


def test_a_detached_container_is_stopped_by_its_signal(podman: Podman, running: str) -> None:
    wait_for_log(podman, running, "started")
    podman.ok("stop", running)
    assert podman.ok("logs", running).split() == ["started", "told"]
    assert podman.ok("inspect", "-f", "{{.State.ExitCode}} {{.OCIRuntime}}", running).split()[0] == "3"
    podman.ok("start", running)
    podman.ok("kill", "--signal=KILL", running)
    assert podman.ok("wait", running) == "137\n"
    podman.ok("rm", running)


def test_exec(podman: Podman, running: str) -> None:
    assert podman.ok("exec", "-e", "A=b", "-w", "/tmp", "-u", "user", running, "sh", "-c", "echo $A; pwd; id -un").split() == [
        "b",
        "/tmp",
        "user",
    ]
    assert podman.call("exec", running, "sh", "-c", "exit 7").returncode == 7
    missing = podman.call("exec", running, "nosuch")
    assert (missing.returncode, b"executable file not found in $PATH" in missing.stderr) == (127, True)
    assert podman.call("exec", running, "/etc/passwd").returncode == 126
    assert podman.call("exec", "-i", running, "cat", stdin=b"through").stdout == b"through"


def test_pause_top_update(podman: Podman, running: str) -> None:
    podman.ok("pause", running)
    assert podman.ok("inspect", "-f", "{{.State.Status}}", running) == "paused\n"
    podman.ok("unpause", running)
    assert "sh -c" in podman.ok("top", running, "args")
    assert json.loads(podman.ok("stats", "--no-stream", "--format=json", running))[0]["pids"] in ("1", "2")


def test_volumes_environment_and_directories(podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("data\n")
    assert podman.once("-v", f"{tmp_path}:/v", "-e", "X=y", "-w", "/v", IMAGE, "sh", "-c", "cat f; echo $X; pwd; echo w >g").split() == [
        "data",
        "y",
        "/v",
    ]
    assert (tmp_path / "g").read_text() == "w\n"
    for options in (("-v", f"{tmp_path}:/v:ro"), ("--read-only",)):
        done = podman.call("run", "--rm", "--network=none", *options, IMAGE, "touch", "/v/x" if options[0] == "-v" else "/x")
        assert (done.returncode, b"Read-only file system" in done.stderr) == (1, True)
    assert "size=1024k" in podman.once("--tmpfs=/t:size=1m", IMAGE, "grep", " /t ", "/proc/mounts")


def test_privileges(podman: Podman) -> None:
    def effective(*options: str) -> int:
        return int(podman.once(*options, IMAGE, "grep", "CapEff", "/proc/self/status").split()[1], 16)

    usual = effective()
    assert effective("--cap-drop=ALL") == 0
    assert effective("--cap-add=SYS_TIME") == usual | 1 << 25
    assert effective("--privileged") > usual
    assert podman.once("--user=user", IMAGE, "id", "-u") == "1000\n"
    assert podman.once("--user=5:6", "--group-add=77", IMAGE, "id", "-G") == "6 77\n"
    mapped = podman.once("--uidmap=0:100000:1000", "--gidmap=0:100000:1000", IMAGE, "sh", "-c", "cat /proc/self/uid_map; id -u")
    assert mapped.split() == ["0", "100000", "1000", "0"]


def test_limits_and_kernel_settings(podman: Podman) -> None:
    v1 = Path("/sys/fs/cgroup/memory").exists()
    files = ("memory/memory.limit_in_bytes", "pids/pids.max") if v1 else ("memory.max", "pids.max")
    limits = podman.once("--memory=64m", "--pids-limit=20", IMAGE, "cat", *(f"/sys/fs/cgroup/{name}" for name in files))
    assert limits.split() == [str(64 << 20), "20"]
    assert podman.once(
        "--sysctl=kernel.msgmax=9000", "--hostname=foo", IMAGE, "sh", "-c", "cat /proc/sys/kernel/msgmax; hostname"
    ).split() == ["9000", "foo"]
    assert podman.once("--ulimit=nofile=100:200", IMAGE, "sh", "-c", "ulimit -n") == "100\n"
    assert podman.once("--device=/dev/full", IMAGE, "sh", "-c", "test -c /dev/full && echo there") == "there\n"
    assert podman.once("-t", IMAGE, "sh", "-c", "test -t 1 && echo terminal").strip() == "terminal"


def test_networks(podman: Podman) -> None:
    names = ("run", "--rm", IMAGE, "ls", "/sys/class/net")
    assert podman.ok(*names[:2], "--network=none", *names[2:]).split() == ["lo"]
    assert podman.ok(*names[:2], "--network=host", *names[2:]).split()[-1] == "lo"
    assert podman.ok(*names[:2], "--network=bridge", *names[2:]).split() == ["eth0", "lo"]


def test_exit_statuses(podman: Podman) -> None:
    for command, status in ((("nosuch",), 127), (("/etc/passwd",), 126), (("sh", "-c", "exit 9"), 9)):
        assert podman.call("run", "--rm", "--network=none", IMAGE, *command).returncode == status


def test_a_pod_shares_its_namespaces(podman: Podman) -> None:
    podman.ok("pod", "create", "--name=pod", "--network=none", f"--infra-image={IMAGE}", "--infra-command=sleep 100")
    podman.ok("run", "-d", "--pod=pod", "--name=member", IMAGE, "sleep", "100")
    look = "hostname; for n in net ipc uts; do readlink /proc/self/ns/$n; done"
    other = podman.ok("run", "--rm", "--pod=pod", IMAGE, "sh", "-c", look)
    assert other == podman.ok("exec", "member", "sh", "-c", look)
    podman.ok("pod", "rm", "--force", "--time=0", "pod")
