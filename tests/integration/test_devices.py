"""CDI devices in containers, through the stock CLI and ours. What is expected here is what Docker 28.5 said to the same specifications."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.build.building import corten
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, import_busybox, run_name

pytestmark = pytest.mark.privileged
SPEC = """
cdiVersion: "0.7.0"
kind: "test.example/dev"
containerEdits:
  env: ["CDI_SPEC=1"]
devices:
- name: foo
  containerEdits:
    env: ["FOO=injected"]
    deviceNodes:
    - {path: /dev/cdi-null, hostPath: /dev/null}
    - {path: /dev/cdi-tun, type: c, major: 10, minor: 200, permissions: r}
    - {path: /dev/cdi-full, type: c, major: 1, minor: 7, fileMode: 0640, uid: 3, gid: 4}
    mounts:
    - {hostPath: FOLDER/file, containerPath: /opt/cdi/deep/file, options: [ro, bind]}
    additionalGids: [0, 1234]
- name: hooked
  containerEdits:
    hooks:
    - {hookName: createContainer, path: /bin/sh, args: [sh, FOLDER/hook]}
- {name: badhook, containerEdits: {hooks: [{hookName: createContainer, path: /nonexistent/hook}]}}
- {name: failhook, containerEdits: {hooks: [{hookName: startContainer, path: /bin/sh, args: [sh, -c, "echo oops >&2; exit 3"]}]}}
- {name: nodev, containerEdits: {deviceNodes: [{path: /dev/nonesuch-cdi}]}}
- {name: nomount, containerEdits: {mounts: [{hostPath: /nonesuch, containerPath: /x}]}}
- {name: rdt, containerEdits: {intelRdt: {closID: x}}}
"""
HOOK = r"""
cat > FOLDER/state
ls "$(sed 's/.*"bundle": *"\([^"]*\)".*/\1/' FOLDER/state)/rootfs" > FOLDER/listing
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cdi")
    (folder / "file").write_text("of the host\n")
    (folder / "test.yaml").write_text(SPEC.replace("FOLDER", str(folder)))
    (folder / "hook").write_text(HOOK.replace("FOLDER", str(folder)))
    (folder / "broken.json").write_text("{bad")
    return folder


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Daemon]:
    daemon = Daemon(run_name("devices::cdi"), "--cdi-spec-dir", str(folder))
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def docker(daemon: Daemon, tmp_path: Path) -> DockerCli:
    return DockerCli(daemon.host, tmp_path)


def run(docker: DockerCli, device: str, *words: str) -> str:
    done = docker("run", "--rm", "--network", "none", "--device", f"test.example/dev={device}", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_that_a_device_brings(docker: DockerCli) -> None:
    script = "env; ls -ln /dev/cdi*; id -G; cat /opt/cdi/deep/file; echo x > /dev/cdi-null && echo usable"
    said = run(docker, "foo", "-u", "7:8", "-e", "FOO=user", "busybox", "sh", "-c", f"({script}) 2>&1; touch /opt/cdi/deep/file || true")
    assert "FOO=injected" in said
    assert "CDI_SPEC=1" in said
    assert "crw-rw-rw-    1 0        0           1,   3" in said
    assert "crw-r-----    1 3        4           1,   7" in said
    assert "8 1234" in said
    assert "of the host\n" in said
    assert "usable" in said


def test_leave_for_a_node_is_as_given(docker: DockerCli) -> None:
    """There may be no such device behind the number; that comes after the question of leave."""
    said = run(docker, "foo", "busybox", "sh", "-c", "(: < /dev/cdi-tun) 2>&1; echo next; (: > /dev/cdi-tun) 2>&1; true")
    reading, _, writing = said.partition("next\n")
    assert "not permitted" not in reading
    assert "not permitted" in writing


def test_our_command_too(daemon: Daemon) -> None:
    said = corten(daemon.host, "create", "--name", "ours", "--device", "test.example/dev=foo", "--device", "/dev/fuse", "busybox")
    assert said.status == 0, said.err
    host = daemon.call("GET", "/containers/ours/json").ok()["HostConfig"]
    request = {"Driver": "cdi", "Count": 0, "DeviceIDs": ["test.example/dev=foo"], "Capabilities": None, "Options": None}
    assert (host["DeviceRequests"], [d["PathOnHost"] for d in host["Devices"]]) == ([request], ["/dev/fuse"])
    assert corten(daemon.host, "rm", "ours").status == 0


def test_hooks_see_the_root(docker: DockerCli, folder: Path) -> None:
    run(docker, "hooked", "busybox", "true")
    assert '"bundle"' in (folder / "state").read_text()
    assert "bin\n" in (folder / "listing").read_text()


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("badhook", "createContainer hook /nonexistent/hook"),
        ("failhook", "startContainer hook /bin/sh: exit status 3: oops"),
        (
            "nodev",
            'CDI device injection failed: failed to inject devices: failed to stat CDI host device "/dev/nonesuch-cdi": ',
        ),
        ("nomount", "/nonesuch"),
        ("rdt", "linux.intelRdt is not built"),
        ("zzz", "Error response from daemon: CDI device injection failed: unresolvable CDI devices test.example/dev=zzz"),
    ],
)
def test_devices_that_cannot_be_had(docker: DockerCli, device: str, says: str) -> None:
    done = docker("run", "--rm", "--network", "none", "--device", f"test.example/dev={device}", "busybox", "true")
    assert done.returncode in (125, 127)
    assert says in done.stderr


def test_a_failed_start_is_remembered_and_a_later_one_works(docker: DockerCli, daemon: Daemon, folder: Path) -> None:
    docker("create", "--name", "late", "--device", "later.example/dev=a", "busybox", "env", check=True)
    assert docker("start", "late").returncode == 1
    state = daemon.call("GET", "/containers/late/json").ok()["State"]
    wanted = "CDI device injection failed: unresolvable CDI devices later.example/dev=a"
    assert (state["Status"], state["ExitCode"], state["Error"]) == ("created", 128, wanted)
    later = folder / "later.json"
    device = '{"name": "a", "containerEdits": {"env": ["LATE=1"]}}'
    later.write_text('{"cdiVersion": "0.6.0", "kind": "later.example/dev", "devices": [DEVICE]}'.replace("DEVICE", device))
    try:
        assert "LATE=1" in docker("start", "-a", "late", check=True).stdout
    finally:
        later.unlink()
        docker("rm", "-f", "late")


def test_the_drivers_other_words(docker: DockerCli) -> None:
    done = docker("run", "--rm", "--gpus", "driver=cdi,device=test.example/dev=foo", "busybox", "env")
    assert "CDI_SPEC=1" in done.stdout
    for words, says in {
        "driver=cdi,count=2": "unexpected count in CDI device request",
        "all": 'could not select device driver "" with capabilities: [[gpu]]',
        "driver=nvidia": 'could not select device driver "nvidia" with capabilities: [[gpu]]',
    }.items():
        done = docker("run", "--rm", "--gpus", words, "busybox", "true")
        assert (done.returncode, says in done.stderr) == (125, True), done.stderr


def test_info(docker: DockerCli, daemon: Daemon, folder: Path) -> None:
    found = daemon.call("GET", "/v1.51/info").ok()
    assert found["CDISpecDirs"] == [str(folder)]
    assert {"Source": "cdi", "ID": "test.example/dev=foo"} in found["DiscoveredDevices"]
    (warning,) = [text for text in found["Warnings"] if "CDI" in text]
    assert warning.startswith(f"CDI: Error associated with spec file {folder}/broken.json: failed to load CDI Spec failed to unmarshal")
    assert "DiscoveredDevices" not in daemon.call("GET", "/v1.49/info").ok()
    said = corten(daemon.host, "info").out
    assert " CDI spec directories:\n  " + str(folder) in said
    assert " Discovered Devices:\n  cdi: test.example/dev=badhook\n" in said
    assert docker("info", check=True).stdout.count("cdi: test.example") in (0, 7), "clients of before 28.3 do not show them"


def test_no_directories(tmp_path: Path) -> None:
    daemon = Daemon(run_name("devices::none"), "--cdi-spec-dir", "")
    try:
        daemon.start()
        import_busybox(daemon)
        assert daemon.call("GET", "/info").ok()["CDISpecDirs"] == []
        done = DockerCli(daemon.host, tmp_path)("run", "--rm", "--device", "test.example/dev=foo", "busybox")
        assert 'could not select device driver "cdi" with capabilities: []' in done.stderr
    finally:
        daemon.remove()


def test_they_outlive_the_daemon(daemon: Daemon, docker: DockerCli) -> None:
    docker("run", "-d", "--name", "stays", "--device", "test.example/dev=foo", "busybox", "sleep", "60", check=True)
    daemon.kill()
    daemon.start()
    try:
        assert os.path.basename(docker("exec", "stays", "ls", "/dev/cdi-null", check=True).stdout.strip()) == "cdi-null"
        docker("restart", "-t", "0", "stays", check=True)
        assert "crw" in docker("exec", "stays", "ls", "-l", "/dev/cdi-null", check=True).stdout
    finally:
        docker("rm", "-f", "stays")
