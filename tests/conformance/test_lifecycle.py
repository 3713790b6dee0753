"""create, start, state, kill, delete, pause, resume, ps, list, update, run."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged


def test_the_whole_life(bundle: Bundle, tmp_path: Path) -> None:
    bundle.config["annotations"] = {"org.example": "x"}
    bundle.shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done")
    pid_file = tmp_path / "pid"
    bundle.create("--pid-file", str(pid_file))
    state = bundle.state()
    assert state["status"] == "created"
    assert state["id"] == bundle.id
    assert state["bundle"] == str(bundle.directory)
    assert state["annotations"] == {"org.example": "x"}
    assert pid_file.read_text() == str(state["pid"])
    assert bundle.out.read_text() == ""
    bundle.call("start", bundle.id).ok()
    assert bundle.state()["status"] == "running"
    assert bundle.call("start", bundle.id).code != 0
    assert bundle.call("delete", bundle.id).code != 0
    while "ready" not in bundle.out.read_text():
        time.sleep(0.01)
    bundle.call("kill", bundle.id).ok()
    bundle.wait_for("stopped")
    assert bundle.call("kill", bundle.id, "KILL").code != 0
    assert bundle.call("exec", bundle.id, "true").code != 0
    bundle.call("delete", bundle.id).ok()
    assert bundle.call("state", bundle.id).code != 0
    assert not list(Path("/sys/fs/cgroup").glob(f"*/corten-conformance/{bundle.id}"))


def test_an_id_is_taken_once(bundle: Bundle) -> None:
    bundle.create()
    bundle.save()
    done = bundle.call("create", "--bundle", str(bundle.directory), bundle.id)
    assert done.code != 0
    assert "exist" in done.err
    assert bundle.state()["status"] == "created"


def test_what_is_not_there(bundle: Bundle) -> None:
    for words in (("state", "ghost"), ("start", "ghost"), ("kill", "ghost"), ("delete", "ghost"), ("exec", "ghost", "true")):
        done = bundle.call(*words)
        assert done.code != 0
        assert "does not exist" in done.err
    bundle.call("delete", "--force", "ghost").ok()


def test_a_created_container_is_deleted_unstarted(bundle: Bundle) -> None:
    bundle.create()
    pid = bundle.state()["pid"]
    bundle.call("delete", "--force", bundle.id).ok()
    assert not Path(f"/proc/{pid}/cgroup").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def test_a_bad_bundle(bundle: Bundle) -> None:
    assert bundle.call("create", "--bundle", "/no/such/bundle", bundle.id).code != 0
    bundle.save()
    (bundle.directory / "config.json").write_text("{")
    done = bundle.call("run", "--bundle", str(bundle.directory), bundle.id)
    assert done.code != 0
    assert bundle.call("state", bundle.id).code != 0


def test_killing_all(bundle: Bundle) -> None:
    bundle.without_namespace("pid")
    bundle.shell("sleep 100 & exec sleep 101")
    bundle.start()
    time.sleep(0.1)
    assert len(bundle.call("ps", "-f", "json", bundle.id).ok().json) == 2
    bundle.call("kill", "--all", bundle.id, "KILL").ok()
    bundle.wait_for("stopped")


def test_what_an_init_leaves_behind_ends_with_the_container(bundle: Bundle) -> None:
    bundle.without_namespace("pid")
    bundle.shell("sleep 100 >/dev/null 2>&1 & exit 0")
    bundle.start()
    bundle.wait_for("stopped")
    cgroup = Path(f"/sys/fs/cgroup/memory/corten-conformance/{bundle.id}")
    if cgroup.exists():
        left = [int(line) for line in (cgroup / "cgroup.procs").read_text().split()]
        assert len(left) == 1
        bundle.call("delete", bundle.id).ok()
        assert not Path(f"/proc/{left[0]}/cmdline").exists() or Path(f"/proc/{left[0]}/cmdline").read_bytes() == b""


def test_processes_are_listed(bundle: Bundle) -> None:
    bundle.process["args"] = ["sleep", "100"]
    bundle.start()
    pid = bundle.state()["pid"]
    assert bundle.call("ps", "--format", "json", bundle.id).ok().json == [pid]
    assert any("sleep 100" in line and str(pid) in line.split() for line in bundle.call("ps", bundle.id).ok().lines[1:])
    listed = bundle.call("list", "--format", "json").ok().json
    assert [(entry["id"], entry["status"]) for entry in listed] == [(bundle.id, "running")]
    assert bundle.call("list", "-q").ok().lines == [bundle.id]
    assert bundle.id in bundle.call("list").ok().out


def test_pausing(bundle: Bundle) -> None:
    bundle.shell("while :; do echo x; sleep 0.01; done")
    bundle.start()
    assert "container not paused" in bundle.call("resume", bundle.id).err
    bundle.call("pause", bundle.id).ok()
    assert "container not running" in bundle.call("pause", bundle.id).err
    assert bundle.state()["status"] == "paused"
    bundle.call("kill", bundle.id, "0").ok()
    assert bundle.call("exec", bundle.id, "true").code != 0
    size = bundle.out.stat().st_size
    time.sleep(0.1)
    assert bundle.out.stat().st_size == size
    bundle.call("resume", bundle.id).ok()
    assert bundle.state()["status"] == "running"
    time.sleep(0.1)
    assert bundle.out.stat().st_size > size


def test_a_container_paused_before_its_start_is_started_once_resumed(bundle: Bundle) -> None:
    bundle.process["args"] = ["sleep", "100"]
    bundle.create()
    bundle.call("pause", bundle.id).ok()
    assert bundle.state()["status"] == "paused"
    done = bundle.call("start", bundle.id, timeout=10)
    assert (done.code, "cannot start a container in the paused state" in done.err.lower()) == (1, True)
    bundle.call("resume", bundle.id).ok()
    bundle.call("start", bundle.id).ok()
    assert bundle.state()["status"] == "running"


def test_a_paused_container_is_deleted_by_force(bundle: Bundle) -> None:
    bundle.process["args"] = ["sleep", "100"]
    bundle.start()
    bundle.call("pause", bundle.id).ok()
    bundle.call("delete", "--force", bundle.id).ok()
    assert bundle.call("state", bundle.id).code != 0


def test_limits_are_set_and_updated(bundle: Bundle) -> None:
    bundle.linux["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512}}
    bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "ro")
    bundle.process["args"] = ["sleep", "100"]
    bundle.start()

    def limit() -> str:
        script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        return bundle.call("exec", bundle.id, "sh", "-c", script).out.strip()

    assert limit() == str(64 << 20)
    bundle.call("update", "--memory", str(96 << 20), "--memory-swap", "-1", bundle.id).ok()
    assert limit() == str(96 << 20)
    bundle.save()
    wish = bundle.directory / "wish.json"
    wish.write_text(json.dumps({"memory": {"limit": 48 << 20}, "pids": {"limit": 30}}))
    bundle.call("update", "-r", str(wish), bundle.id).ok()
    assert limit() == str(48 << 20)


def test_run_detached(bundle: Bundle, tmp_path: Path) -> None:
    bundle.process["args"] = ["sleep", "100"]
    bundle.save()
    with (tmp_path / "log").open("wb") as log:
        assert os.waitstatus_to_exitcode(os.waitpid(_spawn(bundle, log.fileno(), "run", "--detach"), 0)[1]) == 0
    assert bundle.state()["status"] == "running"


def _spawn(bundle: Bundle, out: int, *words: str) -> int:
    import shlex

    from tests.conformance.harness import RUNTIME

    command = [*shlex.split(RUNTIME), "--root", str(bundle.state_root), *words, "--bundle", str(bundle.directory), bundle.id]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    return os.posix_spawnp(command[0], command, environment, file_actions=actions)


def test_run_passes_signals_on(bundle: Bundle, tmp_path: Path) -> None:
    bundle.shell("trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done")
    bundle.save()
    with (tmp_path / "log").open("wb") as log:
        pid = _spawn(bundle, log.fileno(), "run")
        while "ready" not in (tmp_path / "log").read_text():
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert bundle.call("state", bundle.id).code != 0


def test_features(bundle: Bundle) -> None:
    found = bundle.call("features").ok().json
    assert found["ociVersionMax"].startswith("1.")
    assert {"bind", "rro", "tmpcopyup"} <= set(found["mountOptions"])
    assert "createContainer" in found["hooks"]
    assert {"user", "time"} <= set(found["linux"]["namespaces"]) or not IS_OURS


def test_the_config_that_spec_writes_runs(bundle: Bundle) -> None:
    bundle.call("spec").ok()
    assert bundle.call("spec").code != 0
    config = json.loads((bundle.directory / "config.json").read_text())
    bundle.config = config
    config["process"]["terminal"] = False
    bundle.shell("echo works; hostname")
    assert bundle.run().ok().lines[0] == "works"


def test_a_log_that_cannot_be_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save()
    for words in (("--log-format", "xml"), ("--log", str(tmp_path / "no" / "folder"))):
        done = bundle.call(*words, "create", "--bundle", str(bundle.directory), bundle.id)
        assert done.code == 1
        assert "log" in done.err
    assert bundle.call("state", bundle.id).code != 0


def test_errors_go_to_the_log(bundle: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log"
    bundle.call("--log", str(log), "--log-format", "json", "start", "ghost")
    entry = json.loads(log.read_text().splitlines()[-1])
    assert entry["level"] == "error"
    assert "does not exist" in entry["msg"]
