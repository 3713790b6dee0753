"""Hooks: when they run, where, and what happens when one fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.harness import IS_OURS, Bundle

pytestmark = pytest.mark.privileged


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def hook(tmp_path: Path, name: str, script: str) -> dict[str, Any]:
    path = tmp_path / f"{name}.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"path": str(path), "args": [name], "env": ["PATH=/usr/bin:/bin"]}


def test_all_run_in_order_with_the_state(bundle: Bundle, tmp_path: Path, journal: Path) -> None:
    record = f'echo "NAME $(readlink /proc/self/ns/mnt) $(cat)" >> {journal}'
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    bundle.config["hooks"] = {kind: [hook(tmp_path, kind, record.replace("NAME", kind))] for kind in kinds}
    (bundle.rootfs / "inside.sh").write_text("#!/bin/sh\ncat > /inside; echo >> /inside; id -u >> /inside\n")
    (bundle.rootfs / "inside.sh").chmod(0o755)
    bundle.config["hooks"]["startContainer"] = [{"path": "/inside.sh", "env": ["PATH=/bin"]}]
    bundle.shell("cat /inside")
    done = bundle.run().ok()
    entries = [line.split(" ", 2) for line in journal.read_text().splitlines()]
    assert [entry[0] for entry in entries] == list(kinds)
    states = [json.loads(entry[2]) for entry in entries]
    assert {state["id"] for state in states} == {bundle.id}
    assert all(state["pid"] > 0 and state["bundle"] == str(bundle.directory) for state in states[:4])
    assert [state["status"] for state in states[-2:]] == ["running", "stopped"]
    host, contained = entries[0][1], entries[2][1]
    assert entries[1][1] == host
    assert contained != host
    assert json.loads(done.lines[0]) == {**states[1], "status": "created"}
    assert done.lines[1] == "0"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_stops_the_creation(bundle: Bundle, tmp_path: Path, kind: str) -> None:
    bundle.config["hooks"] = {kind: [hook(tmp_path, kind, "echo no luck >&2; exit 3")]}
    bundle.shell("echo ran")
    done = bundle.run()
    assert done.code != 0
    assert done.out == ""
    assert "no luck" in done.err
    assert bundle.call("state", bundle.id).code != 0


def test_a_failing_start_hook_stops_the_start(bundle: Bundle) -> None:
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/false"}]}
    bundle.shell("echo ran")
    done = bundle.run()
    assert done.code != 0
    assert done.out == ""


def test_a_failing_poststop_is_passed_over(bundle: Bundle, tmp_path: Path) -> None:
    bundle.config["hooks"] = {"poststop": [hook(tmp_path, "poststop", "exit 1")]}
    bundle.run().ok()


def test_after_a_failing_poststop_the_others_run(bundle: Bundle, tmp_path: Path, journal: Path) -> None:
    hooks = [hook(tmp_path, "first", "exit 1"), hook(tmp_path, "second", f"echo ran >> {journal}")]
    bundle.config["hooks"] = {"poststop": hooks}
    bundle.run().ok()
    assert journal.read_text() == "ran\n"


def test_a_hook_without_env_gets_the_runtimes(bundle: Bundle, tmp_path: Path, journal: Path) -> None:
    own = hook(tmp_path, "own", f"env >> {journal}")
    del own["env"]
    bundle.config["hooks"] = {"createRuntime": [own]}
    bundle.run().ok()
    assert "PYTHONPATH=" in journal.read_text(), "the harness sets it"


def test_a_hook_that_hangs_is_ended(bundle: Bundle, tmp_path: Path) -> None:
    if not IS_OURS:
        pytest.skip("takes long")
    bundle.config["hooks"] = {"createRuntime": [{**hook(tmp_path, "slow", "exec sleep 20"), "timeout": 1}]}
    done = bundle.run()
    assert done.code != 0
    assert "timed out" in done.err
