"""The stock CLI with its buildx plug-in builds through BuildKit's own protocol: `docker build` as docker-ce installs it."""

import json
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import DockerCli, buildx_plugin, two_stages
from tests.support.daemon import IMAGE, Daemon
from tests.support.processes import SLEEP, sleeping

pytestmark = pytest.mark.privileged
TAG = "buildx-built:v1"


@pytest.fixture(scope="module")
def plugin() -> str:
    return buildx_plugin()


@pytest.fixture
def buildx(docker_cli: DockerCli, engine: Daemon, plugin: str) -> Iterator[DockerCli]:
    home = Path(docker_cli.environment["DOCKER_CONFIG"])
    (home / "cli-plugins").mkdir()
    shutil.copy(plugin, home / "cli-plugins/docker-buildx")
    yield docker_cli
    engine.call("DELETE", f"/images/{TAG}?force=1")
    engine.call("POST", "/build/prune?all=1")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return two_stages(tmp_path / "context")


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    return folder


def test_docker_build_tells_what_buildkit_tells(buildx: DockerCli, context: Path) -> None:
    said = buildx("build", "--progress", "plain", "-t", TAG, "--build-arg", "GREETING=bye", str(context), check=True).stderr
    for line in (
        "[internal] load build definition from Dockerfile",
        "[base 3/3] RUN echo bye > /greeting",
        "naming to docker.io/library/buildx-built:v1",
    ):
        assert line in said.replace("$GREETING", "bye")
    shown = buildx("run", "--rm", TAG, "sh", "-c", "cat /greeting /last; ls /srv", check=True).stdout
    assert shown.split() == ["bye", "last", "Dockerfile", "file"]


def test_the_same_image_as_by_every_other_way(buildx: DockerCli, engine: Daemon, context: Path) -> None:
    first = buildx("build", "-q", "-t", TAG, str(context), check=True).stdout.strip()
    environment = {**buildx.environment, "DOCKER_BUILDKIT": "0"}
    classic = subprocess.run(
        ["docker", "build", "-q", str(context)], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert classic.stdout.strip() == first


def test_only_what_changed_travels(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", "FROM scratch\nCOPY a b /\n")
    (folder / "a").write_bytes(bytes(100_000))
    (folder / "b").write_bytes(b"b")
    (folder / "unread").write_bytes(bytes(5_000_000))
    one = buildx("build", "--progress", "plain", str(folder), check=True).stderr
    assert "transferring context: 100.00kB" in one
    (folder / "b").write_bytes(b"other")
    two = buildx("build", "--progress", "plain", str(folder), check=True).stderr
    assert "transferring context: 5B" in two


def test_target_and_no_cache(buildx: DockerCli, context: Path) -> None:
    buildx("build", "-q", "-t", TAG, "--target", "base", str(context), check=True)
    assert buildx("run", "--rm", TAG, "ls", "/last").returncode, "the stage above the target was built"

    def said(*options: str) -> list[str]:
        """The steps that came from the cache."""
        lines = buildx("build", "--progress", "plain", *options, str(context), check=True).stderr.splitlines()
        cached = {line.split()[0] for line in lines if line.endswith(" CACHED")}
        return [line.split(" ", 1)[1].split("]")[0] + "]" for line in lines if line.split(" ")[0] in cached and " [" in line]

    buildx("build", "-q", str(context), check=True)
    assert {"[base 3/3]", "[last 1/1]"} <= set(said())
    assert said("--no-cache", "--target", "base") == ["[base 1/3]"], "only the base image is no work"
    assert "[base 3/3]" in said("--no-cache-filter", "last")
    assert "[last 1/1]" not in said("--no-cache-filter", "last")


def test_network_of_run_steps(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", f"FROM {IMAGE}\nRUN ls /sys/class/net > /links\n")
    buildx("build", "-q", "-t", TAG, "--network", "none", str(folder), check=True)
    assert buildx("run", "--rm", TAG, "cat", "/links", check=True).stdout.split() == ["lo"]


def test_errors_show_their_place(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", f"FROM {IMAGE}\nRUN echo told; exit 3\n")
    said = buildx("build", "--progress", "plain", str(folder))
    assert said.returncode == 1
    assert ">>> RUN echo told; exit 3" in said.stderr
    assert (
        'ERROR: failed to build: failed to solve: process "/bin/sh -c echo told; exit 3" did not complete successfully: exit code: 3'
        in said.stderr
    )
    broken = buildx("build", str(write(folder, "FROM scratch\nBOGUS x\n")))
    assert ">>> BOGUS x" in broken.stderr
    assert "unknown instruction: BOGUS" in broken.stderr
    missing = buildx("build", str(write(folder, "FROM scratch\nCOPY nowhere /\n")))
    assert '"/nowhere": not found' in missing.stderr


def test_secrets_agents_contexts_and_options(buildx: DockerCli, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / "f").write_text("of named\n")
    (tmp_path / "secret").write_text("hush")
    folder = write(
        tmp_path / "c",
        f"FROM {IMAGE}\nRUN --mount=type=secret,id=s cat /run/secrets/s > /s; ulimit -n > /n; grep far /etc/hosts\nCOPY --from=named f /\n",
    )
    metadata, iid = tmp_path / "m.json", tmp_path / "iid"
    options = ["--secret", f"id=s,src={tmp_path}/secret", "--build-context", f"named={named}", "--add-host", "far:1.2.3.4"]
    options += [
        "--ulimit",
        "nofile=100:200",
        "--label",
        "a=b",
        "--metadata-file",
        str(metadata),
        "--iidfile",
        str(iid),
        "-t",
        TAG,
        "-t",
        "other:x",
    ]
    buildx("build", *options, str(folder), check=True)
    assert buildx("run", "--rm", TAG, "cat", "/s", "/n", "/f", check=True).stdout == "hush100\nof named\n"
    told = json.loads(metadata.read_text())
    assert told["containerimage.config.digest"] == iid.read_text()
    assert told["image.name"] == f"docker.io/library/{TAG},docker.io/library/other:x"
    shown = json.loads(buildx("image", "inspect", "other:x", check=True).stdout)[0]
    assert shown["Config"]["Labels"] == {"a": "b"}
    buildx("rmi", "other:x", check=True)


def test_files_and_tars_come_back(buildx: DockerCli, engine: Daemon, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", "FROM scratch\nCOPY --chmod=4755 Dockerfile /d/file\nCOPY empty /\n")
    (folder / "empty").write_bytes(b"")
    before = buildx("images", "-aq", check=True).stdout
    buildx("build", "-q", "-o", str(tmp_path / "out"), str(folder), check=True)
    assert (tmp_path / "out/d/file").read_text() == (folder / "Dockerfile").read_text()
    assert (tmp_path / "out/empty").read_bytes() == b""
    buildx("build", "-q", "-o", f"type=tar,dest={tmp_path}/out.tar", str(folder), check=True)
    with tarfile.open(tmp_path / "out.tar") as tar:
        assert [(m.name, oct(m.mode)) for m in tar if m.isfile()] == [("d/file", "0o4755"), ("empty", "0o644")]
    assert buildx("images", "-aq", check=True).stdout == before


def test_checks_and_calls(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", f"FROM {IMAGE} as base\n")
    said = buildx("build", "--check", str(folder))
    assert (said.returncode, "FromAsCasing" in said.stdout) == (1, True)
    assert "TARGET: base" in buildx("build", "--call", "outline", str(folder), check=True).stdout
    assert "base (default)" in buildx("build", "--call", "targets", str(folder), check=True).stdout


def test_a_client_that_leaves_ends_its_build(buildx: DockerCli, engine: Daemon, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", f"FROM {IMAGE}\nRUN echo begun; sleep {SLEEP}\n")
    command = ["docker", "build", "--progress", "plain", str(folder)]
    running = subprocess.Popen(command, env=buildx.environment, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.rstrip().endswith(" begun"):
            break
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while sleeping() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not sleeping()


def test_what_is_not_done_is_refused_by_name(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", "# syntax=example.com/other:1\nFROM scratch\nCOPY Dockerfile /\n")
    assert "frontend" in buildx("build", str(folder)).stderr
    folder = write(tmp_path / "c", "FROM scratch\nCOPY Dockerfile /\n")
    said = buildx("build", "--platform", "linux/amd64,linux/arm64", str(folder))
    assert said.returncode == 1
    assert "platform" in said.stderr


def test_builders_and_their_cache(buildx: DockerCli, context: Path) -> None:
    assert "running" in buildx("buildx", "ls", check=True).stdout
    assert "linux/" in buildx("buildx", "inspect", check=True).stdout
    buildx("build", "-q", "-t", TAG, str(context), check=True)
    assert "echo last" in buildx("buildx", "du", "--verbose", check=True).stdout
    buildx("rmi", TAG, check=True)
    pruned = buildx("buildx", "prune", "-af", check=True).stdout
    assert "Total:" in pruned
    assert "echo last" not in buildx("buildx", "du", "--verbose", check=True).stdout


def test_bake_builds_several_targets(buildx: DockerCli, tmp_path: Path) -> None:
    folder = write(tmp_path / "c", "FROM scratch AS one\nCOPY Dockerfile /1\nFROM scratch AS two\nCOPY Dockerfile /2\n")
    targets = {name: {"context": str(folder), "target": name, "tags": [f"baked:{name}"]} for name in ("one", "two")}
    (tmp_path / "bake.json").write_text(json.dumps({"target": targets, "group": {"default": {"targets": ["one", "two"]}}}))
    buildx("buildx", "bake", "-f", str(tmp_path / "bake.json"), "--allow", f"fs.read={tmp_path}", check=True)
    assert buildx("images", "-q", "baked", check=True).stdout.count("\n") == 2
    buildx("rmi", "baked:one", "baked:two", check=True)
