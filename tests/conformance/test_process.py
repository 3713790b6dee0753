"""config.json's `process`: identity, powers, limits, terminal."""

import os
import signal
from pathlib import Path

import pytest

from tests.conformance.harness import Bundle

pytestmark = pytest.mark.privileged


def test_the_exit_status_is_the_programs(bundle: Bundle) -> None:
    bundle.shell("exit 42")
    assert bundle.run().code == 42


def test_user_groups_umask_and_directory(bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o027}
    bundle.process["cwd"] = "/made/for/you"
    bundle.shell("id -u; id -g; id -G; umask; pwd; echo $HOME")
    assert bundle.run().ok().lines == ["1000", "1001", "1001 5 6", "0027", "/made/for/you", "/home/user"]


def test_no_other_groups_are_kept(bundle: Bundle) -> None:
    bundle.shell("id -G")
    assert bundle.run().ok().lines == ["0"]


def status_field(bundle: Bundle, name: str) -> str:
    bundle.shell(f"grep ^{name}: /proc/self/status")
    return bundle.run().ok().out.split()[1]


def test_capabilities_of_root(bundle: Bundle) -> None:
    sets = {"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"]}
    bundle.process["capabilities"] = sets
    assert status_field(bundle, "CapBnd") == f"{0b100001:016x}"
    assert status_field(bundle, "CapPrm") == f"{0b100001:016x}"
    assert status_field(bundle, "CapInh") == f"{0:016x}"


def test_a_user_gets_no_capabilities_but_ambient_ones(bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert status_field(bundle, "CapEff") == f"{0:016x}"
    only = ["CAP_NET_BIND_SERVICE"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted", "inheritable", "ambient"), only)
    assert status_field(bundle, "CapEff") == f"{1 << 10:016x}"
    assert status_field(bundle, "CapAmb") == f"{1 << 10:016x}"


def test_no_new_privileges(bundle: Bundle) -> None:
    assert status_field(bundle, "NoNewPrivs") == "0"
    bundle.process["noNewPrivileges"] = True
    assert status_field(bundle, "NoNewPrivs") == "1"


def test_rlimits_are_lowered(bundle: Bundle) -> None:
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    bundle.shell("ulimit -n; ulimit -Hn; ulimit -c")
    assert bundle.run().ok().lines == ["100", "200", "0"]


def test_oom_score(bundle: Bundle) -> None:
    bundle.process["oomScoreAdj"] = 321
    bundle.shell("cat /proc/self/oom_score_adj")
    assert bundle.run().ok().lines == ["321"]


def test_scheduler_and_io_priority(bundle: Bundle) -> None:
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    bundle.shell("awk '{print $19, $41}' /proc/self/stat; ionice -p $$")
    assert bundle.run().ok().lines == ["5 3", "idle"]


def test_personality(bundle: Bundle) -> None:
    bundle.linux["personality"] = {"domain": "LINUX32"}
    bundle.shell("uname -m")
    assert bundle.run().ok().lines[0] in ("i686", "armv8l")


def test_signals_are_as_a_program_expects_them(bundle: Bundle) -> None:
    bundle.process["args"] = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]
    assert [line.split()[1] for line in bundle.run().ok().lines] == [f"{0:016x}"] * 2


def test_what_the_caller_ignores_is_not_ignored_inside(bundle: Bundle) -> None:
    """As after `nohup engine &` in a shell."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)}
    try:
        test_signals_are_as_a_program_expects_them(bundle)
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("nothing", 'exec: "nothing": executable file not found in $PATH'),
        ("/bin/nothing", 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
        ("/etc", 'exec: "/etc": is a directory'),
    ],
)
def test_a_program_that_cannot_run(bundle: Bundle, program: str, message: str) -> None:
    bundle.process["args"] = [program]
    done = bundle.run("--detach")
    assert done.code != 0
    assert message in done.err.replace("\\", "")
    assert bundle.call("state", bundle.id).code != 0


def test_a_working_directory_that_is_a_file(bundle: Bundle) -> None:
    bundle.process["cwd"] = "/etc/passwd"
    done = bundle.run()
    assert done.code != 0
    assert "/etc/passwd" in done.err


def test_output_belongs_to_the_user(bundle: Bundle) -> None:
    """It can open /dev/stdout again, though the pipe was root's."""
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.shell("echo hello > /dev/stdout")
    assert bundle.run().ok().lines == ["hello"]


def test_only_what_was_asked_for_is_open(bundle: Bundle, tmp_path: Path) -> None:
    """A leaked descriptor of a host directory is a way out (CVE-2024-21626)."""
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    bundle.shell("ls /proc/1/fd; :")
    assert bundle.run(fds=(secret,)).ok().out.split() == ["0", "1", "2"]
    os.close(secret)


def test_preserved_descriptors(bundle: Bundle) -> None:
    reading, writing = os.pipe()
    os.dup2(writing, 3)
    bundle.shell("echo through >&3; ls /proc/1/fd; :")
    assert bundle.run("--preserve-fds", "1", fds=(3,)).ok().out.split() == ["0", "1", "2", "3"]
    assert os.read(reading, 100) == b"through\n"


@pytest.mark.parametrize("cwd", [f"/proc/self/fd/{n}" for n in range(3, 12)])
def test_a_working_directory_by_descriptor_leads_nowhere(bundle: Bundle, cwd: str) -> None:
    bundle.process["cwd"] = cwd
    bundle.shell("ls ../../../../../../../..")
    done = bundle.run()
    assert done.code != 0 or "work" not in done.out.split()


def test_environment(bundle: Bundle) -> None:
    bundle.process["env"] = ["PATH=/bin", "A=1", "A=2", "HOME=/tmp"]
    bundle.process["args"] = ["env"]
    assert set(bundle.run().ok().lines) == {"PATH=/bin", "A=2", "HOME=/tmp"}
