"""Health checks as clients see them: inspect, events, lists, and the stock CLI's and compose's waiting for them."""

import json
import os
import signal
import time
import urllib.parse
from typing import Any

import pytest

from tests.integration.dropin.conftest import Peer, eventually
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
SECOND = 10**9
FAST = SECOND // 5


def check(*test: str, **more: int) -> dict[str, Any]:
    return {"Test": list(test), "Interval": FAST, **more}


def health(peer: Peer) -> Any:
    return peer.inspect()["State"].get("Health")


def until(peer: Peer, status: str) -> Any:
    return eventually(lambda: (h := health(peer))["Status"] == status and h)


def test_a_check_that_never_ran_is_not_shown(peer: Peer) -> None:
    peer.create(Healthcheck=check("CMD", "true"))
    assert health(peer) is None


@pytest.mark.parametrize("test", [["NONE"], ["NOPE", "true"], []])
def test_what_is_no_check(peer: Peer, test: list[str]) -> None:
    peer.run(Healthcheck=check(*test))
    assert health(peer) is None


def test_it_starts_fails_and_recovers(peer: Peer) -> None:
    since = time.time()
    peer.run(Healthcheck=check("CMD-SHELL", "echo out; echo err >&2; test -e /tmp/ok", Retries=2), User="nobody", WorkingDir="/tmp")
    begun = health(peer)
    assert (begun["Status"], begun["FailingStreak"]) == ("starting", 0)
    failed = until(peer, "unhealthy")
    assert failed["FailingStreak"] >= 2
    first = failed["Log"][0]
    assert first["ExitCode"] == 1
    assert sorted(first["Output"].split()) == ["err", "out"]
    assert first["Start"] < first["End"]
    made = peer.call("POST", f"/containers/{peer.name}/exec", {"Cmd": ["touch", "/tmp/ok"], "User": "root"}).ok()["Id"]
    peer.call("POST", f"/exec/{made}/start", {"Detach": True}).ok()
    assert until(peer, "healthy")["FailingStreak"] == 0
    told = [event["Action"] for event in peer.events(since, event=["health_status"])]
    assert told == ["health_status: unhealthy", "health_status: healthy"]


def test_a_probe_is_an_exec_to_listeners(peer: Peer) -> None:
    since = time.time()
    peer.run(Healthcheck=check("CMD", "test", "1"))
    until(peer, "healthy")
    events = [e for e in peer.events(since) if e["Action"].startswith("exec_")][:3]
    assert [e["Action"] for e in events] == ["exec_create: test 1", "exec_start: test 1", "exec_die"]
    assert len({e["Actor"]["Attributes"]["execID"] for e in events}) == 1
    assert events[-1]["Actor"]["Attributes"]["exitCode"] == "0"


def test_the_last_five_results_are_kept(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD-SHELL", "date +%s; false"))
    found = eventually(lambda: (h := health(peer))["FailingStreak"] >= 7 and h)
    assert len(found["Log"]) == 5
    starts = [r["Start"] for r in found["Log"]]
    assert starts == sorted(starts)


def test_output_is_cut(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD-SHELL", "yes 0123456789 | head -n 1000"))
    output = until(peer, "healthy")["Log"][0]["Output"]
    assert len(output) == 4096 + len("...")
    assert output.endswith("...")


@pytest.mark.parametrize(("command", "said"), [("echo a; exec sleep 60", ": a\n"), ("exec sleep 60", "")])
def test_a_check_that_takes_too_long_is_killed(peer: Peer, command: str, said: str) -> None:
    peer.run(Healthcheck=check("CMD-SHELL", command, Timeout=SECOND // 2, Retries=1))
    result = until(peer, "unhealthy")["Log"][0]
    assert result["ExitCode"] == -1
    assert result["Output"] == f"Health check exceeded timeout (500ms){said}"


def test_a_command_that_is_not_there(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "nope", Retries=1))
    result = until(peer, "unhealthy")["Log"][0]
    assert result["ExitCode"] == -1
    assert 'exec: "nope": executable file not found in $PATH' in result["Output"]


def test_a_shell_form_runs_in_the_containers_shell(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD-SHELL", "echo $1-$0", "zero", "one"), Shell=["/bin/sh", "-ec"])
    assert until(peer, "healthy")["Log"][0]["Output"] == "one-zero\n"


def test_it_has_no_terminal(peer: Peer) -> None:
    peer.run(Tty=True, Healthcheck=check("CMD-SHELL", "tty; cat; true"))
    assert until(peer, "healthy")["Log"][0]["Output"] == "not a tty\n"


def test_failures_in_the_start_period_do_not_count(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "false", Retries=1, StartPeriod=2 * SECOND, StartInterval=FAST, Interval=60 * SECOND))
    found = eventually(lambda: len((h := health(peer))["Log"]) >= 3 and h)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)


def test_they_count_from_its_end_on(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "false", Retries=2, StartPeriod=SECOND, StartInterval=FAST))
    found = until(peer, "unhealthy")
    assert len(found["Log"]) > found["FailingStreak"]


def test_a_success_ends_the_start_period(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "true", StartPeriod=60 * SECOND, StartInterval=FAST, Interval=60 * SECOND))
    assert len(until(peer, "healthy")["Log"]) == 1
    time.sleep(1)
    assert len(health(peer)["Log"]) == 1


def test_the_start_interval_is_for_the_start_period_only(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "true", StartInterval=FAST, Interval=60 * SECOND))
    time.sleep(1)
    assert health(peer)["Log"] == []


def test_no_probe_while_paused(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "true"))
    until(peer, "healthy")
    peer.call("POST", f"/containers/{peer.name}/pause").ok()
    paused = health(peer)
    assert paused["Status"] == "unhealthy"
    time.sleep(1)
    assert health(peer) == paused
    peer.call("POST", f"/containers/{peer.name}/unpause").ok()
    assert until(peer, "healthy")["Log"][-1]["Start"] > paused["Log"][-1]["Start"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_does_not_run_is_unhealthy_and_starts_anew(peer: Peer, how: str) -> None:
    peer.run(Healthcheck=check("CMD", "true"))
    until(peer, "healthy")
    peer.call("POST", f"/containers/{peer.name}/{how}").ok()
    ended = health(peer)
    assert ended["Status"] == "unhealthy"
    assert ended["Log"]
    peer.call("POST", f"/containers/{peer.name}/start").ok()
    again = health(peer)
    assert (again["Status"], again["FailingStreak"]) == ("starting", 0)
    assert again["Log"] == ended["Log"]
    until(peer, "healthy")


def test_restart_begins_anew(peer: Peer) -> None:
    peer.run(Healthcheck=check("CMD", "true", Interval=SECOND))
    until(peer, "healthy")
    peer.call("POST", f"/containers/{peer.name}/restart").ok()
    assert health(peer)["Status"] == "starting"


def test_lists_say_and_filter_it(peer: Peer) -> None:
    peer.run(f"{peer.name}-sick", Healthcheck=check("CMD", "false", Retries=1))
    peer.run(f"{peer.name}-fresh", Healthcheck=check("CMD", "true", Interval=60 * SECOND))
    peer.run(f"{peer.name}-bare")
    peer.run(f"{peer.name}-well", Healthcheck=check("CMD", "true"))

    def listed(**filters: list[str]) -> dict[str, str]:
        wanted = urllib.parse.quote(json.dumps({"name": [peer.name], **filters}))
        rows = peer.call("GET", f"/containers/json?filters={wanted}").ok()
        return {row["Names"][0].rpartition("-")[2]: row["Status"] for row in rows}

    eventually(lambda: listed(health=["healthy"]) and listed(health=["unhealthy"]))
    said = listed()
    assert said["sick"].endswith(" (unhealthy)")
    assert said["fresh"].endswith(" (health: starting)")
    assert said["well"].endswith(" (healthy)")
    assert "(" not in said["bare"]
    assert listed(health=["starting"]).keys() == {"fresh"}
    assert listed(health=["none"]).keys() == {"bare"}
    assert listed(health=["healthy", "unhealthy"]).keys() == {"well", "sick"}


def test_the_image_has_a_check(peer: Peer) -> None:
    peer.create(Healthcheck=check("CMD", "true"))
    peer.call("POST", f"/commit?container={peer.name}&repo={peer.name}&tag=checked").ok()
    peer.call("DELETE", f"/containers/{peer.name}").ok()
    peer.run(Image=f"{peer.name}:checked", Healthcheck={"Retries": 7})
    assert peer.inspect()["Config"]["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": FAST, "Retries": 7}
    until(peer, "healthy")


def test_a_daemon_that_comes_back_goes_on(daemon: Daemon, name: str) -> None:
    peer = Peer("corten", daemon.host, IMAGE, name)
    peer.run(Healthcheck=check("CMD-SHELL", "test -e /tmp/ok"))
    hung = peer.run(f"{name}-hung", Healthcheck=check("CMD", "sleep", "500"))
    eventually(lambda: len(health(peer)["Log"]) == 5)
    eventually(lambda: peer.inspect(hung)["ExecIDs"])
    daemon.kill()
    daemon.start()
    kept = health(peer)
    assert (kept["Status"], len(kept["Log"])) == ("unhealthy", 5)
    made = daemon.call("POST", f"/containers/{name}/exec", {"Cmd": ["touch", "/tmp/ok"]}).ok()["Id"]
    daemon.call("POST", f"/exec/{made}/start", {"Detach": True}).ok()
    until(peer, "healthy")
    eventually(lambda: peer.inspect(hung)["ExecIDs"])
    processes = daemon.call("GET", f"/containers/{hung}/top").ok()["Processes"]
    assert [row[-1] for row in processes] == ["sleep 600", "sleep 500"]  # the probe that the killed daemon left is gone


def test_a_container_that_ended_while_nobody_looked(daemon: Daemon, name: str) -> None:
    peer = Peer("corten", daemon.host, IMAGE, name)
    peer.run(Healthcheck=check("CMD", "true"))
    until(peer, "healthy")
    pid = peer.inspect()["State"]["Pid"]
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    assert eventually(lambda: not peer.inspect()["State"]["Running"])
    assert health(peer)["Status"] == "unhealthy"
