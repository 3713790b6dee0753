"""Containers through the stock docker CLI."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
COUNTING = "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.05; done"


@pytest.fixture
def cli(docker_cli: DockerCli, name: str) -> Iterator[DockerCli]:
    """The CLI, and whatever the test left under its name removed."""
    yield docker_cli
    docker_cli("rm", "-f", name, f"{name}-2")


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def status(cli: DockerCli, name: str) -> str:
    return cli("inspect", "-f", "{{.State.Status}}", name, check=True).stdout.strip()


def test_output_and_exit_status(cli: DockerCli) -> None:
    done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/no/such"], 127, "no such file or directory"),
        (["/etc"], 126, 'exec: "/etc": is a directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, ""),
    ],
)
def test_exit_status_of_what_cannot_run(cli: DockerCli, command: list[str], code: int, text: str) -> None:
    done = cli("run", "--rm", "busybox", *command)
    assert done.returncode == code
    assert text in done.stderr


START = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: "
)


def test_what_the_runtime_refuses_is_told_in_dockers_words(cli: DockerCli, name: str, tmp_path: Path) -> None:
    done = cli("run", "--rm", "busybox", "nosuch")
    assert START + 'exec: "nosuch": executable file not found in $PATH' in done.stderr
    done = cli("run", "--rm", "-v", f"{tmp_path}:/etc/passwd/x", "busybox", "true")
    assert done.returncode == 125
    assert START in done.stderr
    assert "Are you trying to mount a directory onto a file (or vice-versa)?" in done.stderr
    if Path("/sys/fs/cgroup/cpu").exists():  # version 2 has no such bounds
        done = cli("run", "--rm", "--cpu-shares", "1", "busybox", "true")
        assert (done.returncode, START in done.stderr) == (125, True)
        assert "the minimum allowed cpu-shares is 2" in done.stderr
        cli("run", "-d", "--name", name, "busybox", "sleep", "100", check=True)
        assert "the minimum allowed cpu-shares is 2" in cli("update", "--cpu-shares", "1", name).stderr


def test_unknown_image_and_option_are_the_engines_errors(cli: DockerCli) -> None:
    assert cli("run", "--rm", "--pull", "never", "nosuchimage", "true").returncode == 125
    assert cli("run", "--rm", "--cap-add", "NOSUCH", "busybox", "true").returncode == 125


def test_input_reaches_the_container_and_its_end_too(cli: DockerCli) -> None:
    text = "".join(f"{number}\n" for number in range(20_000))
    assert cli("run", "--rm", "-i", "busybox", "cat", stdin=text).stdout == text
    assert cli("run", "--rm", "-i", "busybox", "sha256sum", stdin="x").stdout.startswith("2d711642b726b044")


def test_detached_run_logs_stop_start_remove(cli: DockerCli, name: str) -> None:
    container_id = cli("run", "-d", "--name", name, "busybox", "sh", "-c", COUNTING, check=True).stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", container_id)
    until(lambda: "line 3" in cli("logs", name).stdout)
    stamped = cli("logs", "-t", "--tail", "1", name).stdout
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d+", stamped)
    assert cli("stop", "-t", "0", name).stdout == f"{name}\n"
    assert cli("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", name).stdout == "exited 137 0\n"
    before = cli("logs", name).stdout
    assert cli("logs", "--tail", "2", name).stdout.splitlines() == before.splitlines()[-2:]
    cli("start", name, check=True)
    until(lambda: cli("logs", name).stdout.count("line 0\n") == 2)
    assert cli("logs", name).stdout.startswith(before)
    assert "container is running" in cli("rm", name).stderr
    cli("rm", "-f", name, check=True)
    assert "No such container" in cli("inspect", name, "--type", "container").stderr


def test_following_the_log_ends_with_the_container(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done", check=True)
    assert cli("logs", "-f", name, timeout=10).stdout == "1\n2\n3\n"


def test_log_since_and_until(cli: DockerCli, name: str) -> None:
    cli("run", "--name", name, "busybox", "sh", "-c", "echo a; sleep 0.6; echo b", check=True)
    first, second = (line.split()[0] for line in cli("logs", "-t", name).stdout.splitlines())
    assert cli("logs", "--since", second, name).stdout == "b\n"
    assert cli("logs", "--until", first, name).stdout == "a\n"


def test_stdout_and_stderr_stay_apart(cli: DockerCli, name: str) -> None:
    cli("run", "--name", name, "busybox", "sh", "-c", "echo out; echo err >&2")
    done = cli("logs", name)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_exec(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000", check=True)
    done = cli("exec", "-e", "B=2", name, "sh", "-c", "echo $A $B $PWD; echo err >&2; exit 5")
    assert (done.stdout, done.stderr, done.returncode) == ("1 2 /tmp\n", "err\n", 5)
    assert cli("exec", "-u", "nobody", "-w", "/", name, "sh", "-c", "id -un; pwd").stdout == "nobody\n/\n"
    assert cli("exec", "-i", name, "cat", stdin="hello").stdout == "hello"
    failed = cli("exec", name, "nosuch")
    assert failed.returncode == 127
    assert 'exec: "nosuch": executable file not found in $PATH' in failed.stdout
    cli("exec", "-d", name, "touch", "/tmp/made", check=True)
    until(lambda: cli("exec", name, "test", "-f", "/tmp/made").returncode == 0)


def test_exec_needs_a_running_container(cli: DockerCli, name: str) -> None:
    cli("create", "--name", name, "busybox", "true", check=True)
    assert "is not running" in cli("exec", name, "true").stderr
    cli("run", "-d", "--name", f"{name}-2", "busybox", "sleep", "1000", check=True)
    cli("pause", f"{name}-2", check=True)
    assert "is paused, unpause the container before exec" in cli("exec", f"{name}-2", "true").stderr


def test_a_terminal(cli: DockerCli) -> None:
    shell = pexpect.spawn(
        "docker", ["run", "--rm", "-it", "busybox"], env=cli.environment, encoding="utf-8", timeout=15, dimensions=(33, 101)
    )
    shell.expect("# ")
    shell.sendline("stty size; tty")
    shell.expect("33 101")
    shell.expect("/dev/pts/0")
    shell.setwinsize(20, 60)
    until_size(shell, "20 60")
    shell.sendline("exit 9")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 9


def until_size(shell: "pexpect.spawn[str]", size: str) -> None:
    """The CLI passes a new size on when it hears SIGWINCH: a little later."""
    for _ in range(50):
        shell.sendline("stty size")
        if shell.expect([size, r"\d+ \d+\r\n"]) == 0:
            return
        time.sleep(0.05)
    pytest.fail(f"the terminal never became {size}")


def test_a_terminal_in_exec(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000", check=True)
    shell = pexpect.spawn("docker", ["exec", "-it", name, "sh"], env=cli.environment, encoding="utf-8", timeout=15, dimensions=(33, 101))
    shell.expect("# ")
    until_size(shell, "33 101")
    shell.sendline("exit 4")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 4


def test_detach_keys_leave_the_container_running(cli: DockerCli, name: str) -> None:
    shell = pexpect.spawn("docker", ["run", "-it", "--name", name, "busybox"], env=cli.environment, encoding="utf-8", timeout=15)
    shell.expect("# ")
    shell.send("\x10\x11")
    shell.expect(pexpect.EOF)
    shell.close()
    assert status(cli, name) == "running"
    again = pexpect.spawn("docker", ["attach", name], env=cli.environment, encoding="utf-8", timeout=15)
    again.sendline("echo $((6*7))")
    again.expect("42")
    again.sendline("exit")
    again.expect(pexpect.EOF)
    again.close()


def test_attach_gets_what_comes(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "sleep 0.5; echo late; exit 6", check=True)
    done = cli("attach", "--no-stdin", name, timeout=10)
    assert (done.stdout, done.returncode) == ("late\n", 6)


def test_start_attached(cli: DockerCli, name: str) -> None:
    cli("create", "--name", name, "busybox", "sh", "-c", "echo hi; exit 2", check=True)
    for _ in range(2):
        done = cli("start", "-a", name, timeout=10)
        assert (done.stdout, done.returncode) == ("hi\n", 2)


def test_wait_restart_kill_rename_pause(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "trap 'exit 7' TERM; while true; do sleep 0.05; done", check=True)
    first = cli("inspect", "-f", "{{.State.Pid}}", name).stdout
    cli("restart", "-t", "5", name, check=True)
    assert cli("inspect", "-f", "{{.State.Pid}}", name).stdout != first
    cli("rename", name, f"{name}-2", check=True)
    cli("pause", f"{name}-2", check=True)
    assert status(cli, f"{name}-2") == "paused"
    cli("unpause", f"{name}-2", check=True)
    with subprocess.Popen(["docker", "wait", f"{name}-2"], env=cli.environment, stdout=subprocess.PIPE, text=True) as waiting:
        time.sleep(0.2)
        cli("kill", "-s", "TERM", f"{name}-2", check=True)
        assert waiting.communicate(timeout=10)[0] == "7\n"


def test_an_automatic_restart(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "--restart", "on-failure:2", "busybox", "sh", "-c", "echo run; exit 1", check=True)
    until(lambda: status(cli, name) == "exited")
    assert cli("inspect", "-f", "{{.RestartCount}} {{.State.ExitCode}}", name).stdout == "2 1\n"
    assert cli("logs", name).stdout == "run\n" * 3


def test_a_container_that_removes_itself(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--rm", "--name", name, "busybox", "sleep", "1000", check=True)
    cli("stop", "-t", "0", name, check=True)
    until(lambda: cli("inspect", "--type", "container", name).returncode == 1)


def test_the_container_is_what_was_asked_for(cli: DockerCli) -> None:
    options = ["--hostname", "box", "-u", "1000:100", "-w", "/tmp", "-e", "A=b", "--read-only", "--tmpfs", "/t", "--entrypoint", "sh"]
    script = "hostname; id -u; id -g; pwd; echo $A; touch /x 2>/dev/null || echo ro; touch /t/x && echo ok; ulimit -n; cat /proc/1/comm"
    done = cli("run", "--rm", *options, "--ulimit", "nofile=123:456", "--init", "busybox", "-c", script)
    assert done.stdout.split() == ["box", "1000", "100", "/tmp", "b", "ro", "ok", "123", "docker-init"]


def test_capabilities(cli: DockerCli) -> None:
    def effective(*options: str) -> int:
        found = cli("run", "--rm", *options, "busybox", "grep", "CapEff", "/proc/self/status").stdout
        return int(found.split()[1], 16)

    assert effective() == 0xA80425FB
    assert effective("--cap-drop", "ALL") == 0
    assert effective("--cap-drop", "ALL", "--cap-add", "NET_ADMIN") == 1 << 12
    assert effective("--privileged") > 0xA80425FB


def test_limits_reach_the_cgroup(cli: DockerCli, name: str, engine: Daemon) -> None:
    cli("run", "-d", "--name", name, "-m", "64m", "--cpus", "0.5", "--pids-limit", "50", "busybox", "sleep", "1000", check=True)
    files = {
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": str(64 << 20),
        "/sys/fs/cgroup/pids/pids.max": "50",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
    }
    if engine.call("GET", "/info").ok()["CgroupVersion"] == "2":
        files = {"/sys/fs/cgroup/memory.max": str(64 << 20), "/sys/fs/cgroup/pids.max": "50", "/sys/fs/cgroup/cpu.max": "50000 100000"}
    for path, value in files.items():
        assert cli("exec", name, "cat", path).stdout.strip() == value
    cli("update", "--pids-limit", "70", name, check=True)
    assert cli("exec", name, "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null").stdout.strip() == "70"


def test_top_lists_the_processes(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000", check=True)
    lines = cli("top", name).stdout.splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert lines[1].split()[-2:] == ["sleep", "1000"]
    assert cli("top", name, "-o", "pid,comm").stdout.split()[:2] == ["PID", "COMMAND"]


def test_events_tell_the_whole_life(cli: DockerCli, name: str) -> None:
    began = str(time.time())
    cli("run", "--rm", "--name", name, "-l", "k=v", "busybox", "true", check=True)
    until(lambda: "destroy" in cli("events", "--since", began, "--until", str(time.time()), "--filter", f"container={name}").stdout)
    shown = cli("events", "--since", began, "--until", str(time.time()), "--filter", f"container={name}", "--format", "{{json .}}").stdout
    events = [json.loads(line) for line in shown.splitlines()]
    assert [e["Action"] for e in events] == ["create", "attach", "start", "die", "destroy"]
    assert all(e["Actor"]["Attributes"]["k"] == "v" and e["from"] == "busybox" for e in events)
    assert events[3]["Actor"]["Attributes"]["exitCode"] == "0"


def test_prune(cli: DockerCli, name: str) -> None:
    cli("run", "--name", name, "-l", f"only={name}", "busybox", "true", check=True)
    done = cli("container", "prune", "-f", "--filter", f"label=only={name}")
    assert "Deleted Containers:" in done.stdout
    assert "Total reclaimed space: 0B" in done.stdout


def test_commands_in_another_containers_namespaces(cli: DockerCli, name: str) -> None:
    cli("run", "-d", "--name", name, "--ipc", "shareable", "busybox", "sleep", "1000", check=True)
    address = cli("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).stdout.strip()
    guest = ["--network", f"container:{name}", "--pid", f"container:{name}", "--ipc", f"container:{name}"]
    done = cli("run", "--rm", *guest, "busybox", "sh", "-c", "ip addr; ps; touch /dev/shm/shared")
    assert address in done.stdout
    assert "sleep 1000" in done.stdout
    assert cli("exec", name, "ls", "/dev/shm").stdout == "shared\n"
