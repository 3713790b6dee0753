"""What clients do with containers, from waiting to committing, where Docker's answer was not ours."""

import json
import re
import shutil
import socket
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.integration.build.building import corten
from tests.integration.dropin.conftest import Peer, eventually
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize("condition", ["", "not-running", "next-exit"])
def test_wait_answers_at_the_first_exit_of_what_starts_again(peer: Peer, condition: str) -> None:
    peer.run(Cmd=["sh", "-c", "sleep 1; exit 3"], HostConfig={"RestartPolicy": {"Name": "always"}})
    assert peer.call("POST", f"/containers/{peer.name}/wait?condition={condition}").ok()["StatusCode"] == 3
    assert peer.inspect()["State"]["Running"]


def test_a_port_without_a_protocol_is_tcp(peer: Peer) -> None:
    peer.run(ExposedPorts={"8000": {}}, HostConfig={"PortBindings": {"8000": [{"HostIp": "127.0.0.1", "HostPort": ""}]}})
    found = peer.inspect()
    (binding,) = found["NetworkSettings"]["Ports"]["8000/tcp"]
    assert int(binding["HostPort"]) > 0
    assert found["Config"]["ExposedPorts"] == {"8000": {}}


def test_the_body_of_attach_is_not_typed(peer: Peer) -> None:
    peer.run(Cmd=["cat"], OpenStdin=True, AttachStdin=True)
    body = json.dumps({"stream": True}).encode()
    target = f"/containers/{peer.name}/attach?stream=1&stdin=1&stdout=1"
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(peer.host.removeprefix("unix://"))
        client.sendall(f"{head}Upgrade: tcp\r\nConnection: Upgrade\r\n\r\n".encode() + body)
        said = b""
        while b"\r\n\r\n" not in said:
            said += client.recv(4096)
        time.sleep(0.3)
        client.sendall(b"typed\n")
        while b"typed\n" not in said:
            said += client.recv(4096)
    assert b'"stream"' not in said
    assert b'"stream"' not in peer.call("GET", f"/containers/{peer.name}/logs?stdout=1").body


class TestExecs:
    def made(self, peer: Peer, *command: str, **more: Any) -> str:
        identity: str = peer.call(
            "POST", f"/containers/{peer.name}/exec", {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **more}
        ).ok()["Id"]
        return identity

    @pytest.mark.parametrize(
        ("made", "started", "said"),
        [
            (False, False, b"\x01\0\0\0\0\0\0\x03hi\n"),
            (False, True, b"hi\n"),
            (True, False, b"\x01\0\0\0\0\0\0\x04hi\r\n"),
            (True, True, b"hi\r\n"),
        ],
    )
    def test_frames_go_by_the_start(self, peer: Peer, made: bool, started: bool, said: bytes) -> None:
        peer.run()
        assert peer.call("POST", f"/exec/{self.made(peer, 'echo', 'hi', Tty=made)}/start", {"Tty": started}).body == said

    @pytest.mark.parametrize("tty", [False, True])
    def test_a_second_start_is_refused_in_the_stream(self, peer: Peer, tty: bool) -> None:
        peer.run()
        identity = self.made(peer, "true")
        peer.call("POST", f"/exec/{identity}/start", {}).ok()
        again = peer.call("POST", f"/exec/{identity}/start", {"Tty": tty})
        assert again.status == 200
        text = f"exec command {identity} has already run\r\n".encode()
        assert again.body == (text if tty else b"\x01\0\0\0\0\0\0" + bytes([len(text)]) + text)
        detached = peer.call("POST", f"/exec/{identity}/start", {"Detach": True})
        assert (detached.status, detached.json()["message"]) == (409, f"exec command {identity} has already run")

    def test_of_a_container_that_has_ended(self, peer: Peer) -> None:
        peer.run()
        identity = self.made(peer, "true")
        peer.call("POST", f"/containers/{peer.name}/kill").ok()
        assert eventually(lambda: peer.call("POST", f"/exec/{identity}/start", {"Detach": True}).status == 404)


def test_what_joins_a_container_that_joined_another(peer: Peer) -> None:
    peer.run()
    peer.run(f"{peer.name}-middle", HostConfig={"NetworkMode": f"container:{peer.name}"})
    command = ["sh", "-c", "cat /etc/hostname; sleep 600"]
    peer.run(f"{peer.name}-outer", Cmd=command, HostConfig={"NetworkMode": f"container:{peer.name}-middle"})
    shown = peer.inspect()["Config"]["Hostname"]
    assert eventually(lambda: shown.encode() in peer.call("GET", f"/containers/{peer.name}-outer/logs?stdout=1").body)


class TestCommit:
    def test_the_bodys_config_goes_over_the_containers(self, peer: Peer) -> None:
        peer.create(Env=["A=1", "B=2"], Labels={"kept": "yes", "both": "container"}, User="nobody")
        body = {"Env": ["A=9"], "Labels": {"both": "body"}, "Cmd": ["other"], "ExposedPorts": {"80/tcp": {}}}
        changes = urllib.parse.quote("LABEL changed=1")
        peer.call("POST", f"/commit?container={peer.name}&repo={peer.name}&tag=made&changes={changes}", body).ok()
        config = peer.call("GET", f"/images/{peer.name}:made/json").ok()["Config"]
        assert config["Env"][0] == "A=9"
        assert "B=2" in config["Env"]
        assert config["Labels"] == {"kept": "yes", "both": "body", "changed": "1"}
        assert (config["Cmd"], config["User"], config["ExposedPorts"]) == (["other"], "nobody", {"80/tcp": {}})

    @pytest.mark.parametrize("body", [None, {}])
    def test_without_one(self, peer: Peer, body: Any) -> None:
        peer.create(Labels={"kept": "yes"})
        peer.call("POST", f"/commit?container={peer.name}&repo={peer.name}&tag=made", body).ok()
        assert peer.call("GET", f"/images/{peer.name}:made/json").ok()["Config"]["Labels"] == {"kept": "yes"}

    def test_of_one_that_ends_meanwhile(self, peer: Peer) -> None:
        """Nothing is left half-made, and the answer is an image or a sentence about the container."""
        for number in range(8):
            name = f"{peer.name}-{number}"
            peer.run(name, Cmd=["sh", "-c", f"head -c 2000000 /dev/zero > /big; sleep 0.{number}"])
            answer = peer.call("POST", f"/commit?container={name}&repo={peer.name}&tag=n{number}")
            assert answer.status == 201, answer.body
            assert peer.call("GET", f"/images/{peer.name}:n{number}/json").status == 200


def test_a_local_name_server_that_was_asked_for_is_kept(peer: Peer) -> None:
    peer.run(Cmd=["cat", "/etc/resolv.conf"], HostConfig={"Dns": ["127.0.0.1"]})
    said = eventually(lambda: peer.call("GET", f"/containers/{peer.name}/logs?stdout=1").body)
    assert b"nameserver 127.0.0.1\n" in said


def test_a_mounted_image_is_in_use(peer: Peer) -> None:
    peer.create(f"{peer.name}-base", Env=["OTHER=1"], Cmd=["true"])
    peer.call("POST", f"/containers/{peer.name}-base/start").ok()
    peer.call("POST", f"/commit?container={peer.name}-base&repo={peer.name}&tag=mounted&changes=LABEL+only={peer.name}").ok()
    peer.run(HostConfig={"Mounts": [{"Type": "image", "Source": f"{peer.name}:mounted", "Target": "/mounted"}]})
    refused = peer.call("DELETE", f"/images/{peer.name}:mounted")
    assert refused.status == 409
    assert "(must force) - container" in refused.json()["message"]


class TestCreate:
    @pytest.mark.parametrize(
        ("body", "status", "message"),
        [
            ({"HostConfig": {"Tmpfs": {"/": ""}}}, 400, "invalid specification: destination can't be '/'"),
            ({"HostConfig": {"Tmpfs": {"/a/..": ""}}}, 400, "invalid specification: destination can't be '/'"),
        ],
    )
    def test_refused(self, peer: Peer, body: dict[str, Any], status: int, message: str) -> None:
        answer = peer.call("POST", f"/containers/create?name={peer.name}", {"Image": peer.image, **body})
        assert (answer.status, answer.json()["message"]) == (status, message)

    def test_a_negative_user_is_out_of_range(self, peer: Peer) -> None:
        peer.create(User="-1")
        answer = peer.call("POST", f"/containers/{peer.name}/start")
        assert answer.status >= 400
        assert "uids and gids must be in range 0-2147483647" in answer.json()["message"]

    def test_the_working_directory_is_normalised(self, peer: Peer) -> None:
        peer.create(WorkingDir="/a/../b//c/")
        assert peer.inspect()["Config"]["WorkingDir"] == "/b/c"


class TestUpdate:
    def test_no_restart_policy_for_what_is_removed_by_itself(self, peer: Peer) -> None:
        identity = peer.create(HostConfig={"AutoRemove": True})
        answer = peer.call("POST", f"/containers/{peer.name}/update", {"RestartPolicy": {"Name": "always"}})
        text = "Restart policy cannot be updated because AutoRemove is enabled for the container"
        assert (answer.status, answer.json()["message"]) == (409, f"Cannot update container {identity}: {text}")

    def test_minus_one_lifts_the_limit_of_processes(self, peer: Peer) -> None:
        peer.run(HostConfig={"PidsLimit": 50})
        peer.call("POST", f"/containers/{peer.name}/update", {"PidsLimit": -1}).ok()
        assert peer.inspect()["HostConfig"]["PidsLimit"] == 0


def test_a_volume_whose_directory_is_gone_is_removed(daemon: Daemon, name: str) -> None:
    daemon.call("POST", "/volumes/create", {"Name": name}).ok()
    shutil.rmtree(Path(daemon.call("GET", f"/volumes/{name}").ok()["Mountpoint"]).parent)
    assert daemon.call("DELETE", f"/volumes/{name}").status == 204
    assert daemon.call("GET", f"/volumes/{name}").status == 404


def test_events_until_a_moment_begin_with_what_is_known(peer: Peer) -> None:
    peer.create()
    filters = urllib.parse.quote(json.dumps({"container": [peer.name]}))
    body = peer.call("GET", f"/events?until={time.time():.9f}&filters={filters}").body
    assert [json.loads(line)["Action"] for line in body.splitlines()] == ["create"]


def test_the_version_satisfies_clients_that_gate_on_dockers(peer: Peer) -> None:
    found = peer.call("GET", "/version").ok()
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(\+[0-9A-Za-z.-]+)?", found["Version"])
    assert match, found["Version"]
    assert tuple(map(int, match.groups()[:3])) >= (28, 5, 2)
    assert peer.call("GET", "/info").ok()["ServerVersion"] == found["Version"]
    if peer.kind == "corten":
        assert {c["Name"] for c in found["Components"]} == {"Engine", "Corten"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/containers/nope/exec", "No exec command specified"),
        ("/containers/nope/update", "No such container: nope"),
        ("/networks/create", "invalid name: name is empty"),
    ],
)
def test_no_body_is_an_empty_one(peer: Peer, target: str, message: str) -> None:
    assert peer.call("POST", target).json()["message"] == message


def test_an_expected_refusal_leaves_no_traceback(daemon: Daemon, name: str) -> None:
    peer = Peer("corten", daemon.host, IMAGE, name)
    peer.create()
    assert daemon.call("POST", f"/containers/{name}/unpause").status == 500
    assert "Traceback" not in daemon.log.read_text()


def test_resizing_an_exec_of_what_has_ended(peer: Peer) -> None:
    identity = peer.run()
    made = peer.call("POST", f"/containers/{peer.name}/exec", {"Cmd": ["true"], "AttachStdout": True}).ok()["Id"]
    peer.call("POST", f"/exec/{made}/start", {}).ok()
    peer.call("POST", f"/containers/{peer.name}/kill").ok()
    answer = eventually(lambda: (a := peer.call("POST", f"/exec/{made}/resize?h=1&w=1")).status == 409 and a)
    assert answer.json()["message"] == f"container {identity} is not running"


@pytest.mark.parametrize("name", ["label", "label!"])
def test_the_build_cache_has_no_labels_to_ask_for(peer: Peer, name: str) -> None:
    """`docker system prune --filter label=…` passes its filter on to it; `id` keeps this test from other tests' caches."""
    filters = urllib.parse.quote(json.dumps({name: ["nobody=has-it"], "id": ["none"]}))
    assert peer.call("POST", f"/build/prune?filters={filters}").ok()["SpaceReclaimed"] == 0


def test_run_without_arguments_is_an_error(engine: Daemon, name: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN []\n")
    said = corten(engine.host, "build", "-t", name, str(tmp_path))
    assert said.status == 1
    assert "arguments are required" in said.err
