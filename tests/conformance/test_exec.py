"""exec: further processes."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged


@pytest.fixture
def running(bundle: Bundle) -> Bundle:
    bundle.process["args"] = ["sleep", "1000"]
    bundle.namespace("cgroup")
    bundle.start()
    return bundle


def test_it_is_inside(running: Bundle) -> None:
    script = "echo $$; hostname; for n in pid mnt uts ipc net cgroup; do readlink /proc/self/ns/$n /proc/1/ns/$n; done"
    script = script.replace("readlink /proc/self/ns/$n /proc/1/ns/$n", "readlink /proc/self/ns/$n; readlink /proc/1/ns/$n")
    lines = running.call("exec", running.id, "sh", "-c", script).ok().lines
    assert int(lines[0]) < 100
    assert lines[1] == "conformance"
    assert lines[2::2] == lines[3::2]


def test_it_is_in_the_cgroup(running: Bundle) -> None:
    inside = running.call("exec", running.id, "cat", "/proc/self/cgroup").ok().lines
    assert next(line for line in inside if ":memory:" in line or line.startswith("0::")).endswith(":/")


def test_exit_status_arguments_and_streams(running: Bundle) -> None:
    done = running.call("exec", running.id, "sh", "-c", 'echo "$1"; echo err >&2; cat; exit 5', "sh", "a b", stdin="in")
    assert (done.code, done.out, done.err) == (5, "a b\nin", "err\n")


def test_options(running: Bundle) -> None:
    words = ("--user", "1000:1001", "--cwd", "/tmp", "--env", "X=1", "-e", "Y=2", "--no-new-privs")
    script = "id -u; id -g; pwd; echo $X$Y; grep NoNewPrivs /proc/self/status"
    assert running.call("exec", *words, running.id, "sh", "-c", script).ok().lines == ["1000", "1001", "/tmp", "12", "NoNewPrivs:\t1"]


def test_a_process_file(running: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "process.json"
    process = {"args": ["sh", "-c", "id -u; pwd; grep CapEff /proc/self/status"], "cwd": "/etc", "user": {"uid": 0, "gid": 0}}
    only = ["CAP_KILL"]
    process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), only)
    path.write_text(json.dumps({**process, "env": ["PATH=/bin"]}))
    assert running.call("exec", "--process", str(path), running.id).ok().lines == ["0", "/etc", f"CapEff:\t{1 << 5:016x}"]


def test_detached_with_a_pid_file(running: Bundle, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with (tmp_path / "log").open("wb") as log:
        del log
    running.call("exec", "--detach", "--pid-file", str(pid_file), running.id, "sh", "-c", "exec sleep 77 >/dev/null 2>&1 </dev/null").ok()
    pid = int(pid_file.read_text())
    deadline = time.monotonic() + 3
    while b"sleep\x0077" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert pid in running.call("ps", "-f", "json", running.id).ok().json


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("nothing", 'exec: "nothing": executable file not found in $PATH'),
        ("/bin/nothing", 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_run(running: Bundle, program: str, message: str) -> None:
    done = running.call("exec", running.id, program)
    assert done.code != 0
    assert message in done.err.replace("\\", "")


def test_a_directory_that_is_not_there(running: Bundle) -> None:
    done = running.call("exec", "--cwd", "/nope", running.id, "true")
    assert done.code != 0
    assert 'chdir to cwd ("/nope")' in done.err.replace("\\", "")


def test_no_descriptor_comes_along(running: Bundle, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    done = running.call("exec", running.id, "sh", "-c", "ls /proc/$$/fd; :", fds=(secret,)).ok()
    os.close(secret)
    assert done.out.split() == ["0", "1", "2"]


@pytest.mark.parametrize("number", range(3, 12))
def test_a_directory_by_descriptor_leads_nowhere(running: Bundle, number: int) -> None:
    done = running.call("exec", "--cwd", f"/proc/self/fd/{number}", running.id, "ls", "../../../../../../..")
    assert done.code != 0 or "work" not in done.out.split()


def test_the_filter_applies_to_it_too(bundle: Bundle) -> None:
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.start()
    for words in ((), ("--no-new-privs",)):
        done = bundle.call("exec", *words, bundle.id, "mkdir", "/tmp/x")
        assert done.code != 0
        assert "not supported" in done.err


def test_a_traceable_container_gets_the_filter_before_the_fork(bundle: Bundle) -> None:
    """With CAP_SYS_PTRACE inside, a half set-up process could be taken over: it must have no powers by then."""
    everything = [*bundle.process["capabilities"]["bounding"], "CAP_SYS_PTRACE"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), everything)
    refused = {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    bundle.process["args"] = ["sleep", "1000"]
    bundle.start()
    done = bundle.call("exec", bundle.id, "sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status; echo $$").ok()
    assert "Seccomp:\t2" in done.lines
    assert int(done.lines[-1]) < 100


def test_exec_into_a_user_namespace(bundle: Bundle) -> None:
    bundle.map_users(100000)
    bundle.process["args"] = ["sleep", "1000"]
    bundle.start()
    done = bundle.call("exec", bundle.id, "sh", "-c", "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user").ok()
    own = bundle.call("exec", bundle.id, "readlink", "/proc/1/ns/user").ok()
    assert done.lines[0] == "0"
    assert done.lines[1].split() == ["0", "100000", "65536"]
    assert done.lines[2] == own.out.strip()


def test_affinity(running: Bundle, tmp_path: Path) -> None:
    if not IS_OURS:
        pytest.skip("runc has it from 1.3 on, by another path")
    path = tmp_path / "process.json"
    process = {"args": ["sh", "-c", "grep Cpus_allowed_list /proc/self/status"], "cwd": "/", "env": ["PATH=/bin"]}
    path.write_text(json.dumps({**process, "execCPUAffinity": {"initial": "0", "final": "1"}}))
    assert running.call("exec", "--process", str(path), running.id).ok().out.split() == ["Cpus_allowed_list:", "1"]
