"""Commit, build, pull and push through the stock docker CLI against a daemon of the test's own."""

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clients import DockerCli
from tests.support.daemon import Daemon
from tests.support.leaks import settled_holdings, wait_until_settled

pytestmark = pytest.mark.privileged


@pytest.fixture
def cli(daemon: Daemon, docker_program: str, tmp_path: Path) -> DockerCli:
    home = tmp_path / "home"
    home.mkdir()
    return DockerCli(daemon.host, home)


def build(cli: DockerCli, folder: Path, dockerfile: str, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "Dockerfile").write_text(dockerfile)
    environment = {**cli.environment, "DOCKER_BUILDKIT": "0"}
    command = ["docker", "build", *flags, str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "sub").mkdir(parents=True)
    (folder / "app.txt").write_text("app\n")
    (folder / "sub" / "deep.txt").write_text("deep\n")
    return folder


def test_commit_keeps_what_was_written(cli: DockerCli) -> None:
    cli("run", "--name", "made-from", "-e", "A=b", "busybox", "sh", "-c", "echo x > /new; rm /etc/group; mkdir /d", check=True)
    made = cli("commit", "-m", "note", "-a", "me", "-c", "ENV Q=1", "made-from", "made:v1", check=True).stdout.strip()
    assert made.startswith("sha256:")
    seen = cli("run", "--rm", "made:v1", "sh", "-c", "cat /new; ls -d /d; echo $A$Q; ls /etc/group", check=False)
    assert seen.stdout == "x\n/d\nb1\n"
    assert "No such file" in seen.stderr
    assert cli("inspect", "-f", "{{.Comment}} {{.Author}}", "made:v1", check=True).stdout == "note me\n"
    cli("start", "made-from", check=True)
    assert "No such container" in cli("commit", "nosuch").stderr


def layers_of(cli: DockerCli, image: str, folder: Path) -> list[set[str]]:
    """The names in each layer, as `save` writes them."""
    cli("save", "-o", str(folder / "saved.tar"), image, check=True)
    with tarfile.open(folder / "saved.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        found = []
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                found.append(set(layer.getnames()))
    return found


def test_commit_leaves_out_what_every_start_makes(cli: DockerCli, tmp_path: Path) -> None:
    """As Docker 28.5: no layer for a container that changed nothing; mount points of volumes are in the layer."""
    cli("run", "--name", "idle", "busybox", "test", "-e", "/.dockerenv", check=True)
    assert cli("diff", "idle", check=True).stdout == ""
    cli("commit", "idle", "idle:v1", check=True)
    assert len(layers_of(cli, "idle:v1", tmp_path)) == 1
    assert cli("history", "-q", "--format", "{{.Size}}", "idle:v1", check=True).stdout.split("\n")[0] == "0B"
    cli("run", "--name", "busy", "-v", "/data", "--tmpfs", "/tt", "busybox", "sh", "-c", "echo x > /etc/new", check=True)
    cli("commit", "busy", "busy:v1", check=True)
    assert layers_of(cli, "busy:v1", tmp_path)[1:] == [{"data", "tt", "etc", "etc/new"}]
    assert cli("diff", "busy", check=True).stdout.split("\n")[:-1] == ["A /data", "C /etc", "A /etc/new", "A /tt"]


def test_commit_of_a_running_container_pauses_and_resumes_it(cli: DockerCli) -> None:
    cli("run", "-d", "--name", "made-from", "busybox", "sh", "-c", "echo x > /new; sleep 100", check=True)
    cli("exec", "made-from", "sh", "-c", "until [ -f /new ]; do :; done", check=True)
    cli("commit", "made-from", "made", check=True)
    assert cli("inspect", "-f", "{{.State.Status}}", "made-from", check=True).stdout == "running\n"
    assert cli("run", "--rm", "made", "cat", "/new", check=True).stdout == "x\n"
    cli("rm", "-f", "made-from", check=True)


def test_build_runs_copies_and_caches(cli: DockerCli, context: Path) -> None:
    dockerfile = (
        "ARG BASE=busybox\nFROM $BASE AS first\nRUN echo made > /made && test $(id -u) = 0\n"
        "FROM busybox\nARG WHO=nobody\nENV GREETING=hello-$WHO\nWORKDIR /app/in\nCOPY app.txt sub ./\n"
        'COPY --from=first --chown=12:34 /made /made\nRUN ls > /listing\nCMD ["sh", "-c", "cat /listing /made; echo $GREETING"]\n'
    )
    first = build(cli, context, dockerfile, "-t", "built:v1", "--build-arg", "WHO=world")
    assert first.returncode == 0, first.stdout + first.stderr
    assert cli("run", "--rm", "built:v1", check=True).stdout == "app.txt\ndeep.txt\nmade\nhello-world\n"
    assert cli("run", "--rm", "built:v1", "stat", "-c", "%u:%g", "/made", check=True).stdout == "12:34\n"
    again = build(cli, context, dockerfile, "-t", "built:v2", "--build-arg", "WHO=world")
    ids = cli("images", "-q", "--no-trunc", "built", check=True).stdout.split()
    assert "Using cache" in again.stdout
    assert len(set(ids)) == 1


def test_a_failing_build_tags_nothing(cli: DockerCli, context: Path) -> None:
    failed = build(cli, context, "FROM busybox\nRUN echo doing; exit 3\n", "-t", "never")
    assert failed.returncode != 0
    assert "returned a non-zero code: 3" in failed.stderr
    assert cli("images", "-q", "never", check=True).stdout == ""
    assert "not found" in build(cli, context, "FROM busybox\nCOPY nope /\n").stderr
    assert "unknown instruction: RUNN" in build(cli, context, "FROM busybox\nRUNN x\n").stderr


def test_ignored_files_stay_out(cli: DockerCli, context: Path) -> None:
    (context / ".dockerignore").write_text("sub\n")
    assert build(cli, context, "FROM busybox\nCOPY . /c\nCMD find /c -type f\n", "-t", "built").returncode == 0
    assert sorted(cli("run", "--rm", "built", check=True).stdout.split()) == ["/c/.dockerignore", "/c/Dockerfile", "/c/app.txt"]


def test_mounts_of_a_step_leave_no_trace(cli: DockerCli, context: Path) -> None:
    dockerfile = (
        "FROM busybox\nRUN --mount=type=bind,source=sub,target=/b --mount=type=cache,target=/k --mount=type=tmpfs,target=/t "
        "cat /b/deep.txt && echo kept > /k/f && echo gone > /t/f\n"
        "RUN --mount=type=cache,target=/k cat /k/f > /seen\nCMD cat /seen; ls -d /b /k /t\n"
    )
    built = build(cli, context, dockerfile, "-t", "built")
    assert built.returncode == 0, built.stdout + built.stderr
    assert cli("run", "--rm", "built").stdout == "kept\n"


def test_a_build_whose_daemon_dies_leaves_nothing_and_goes_on_from_the_cache(daemon: Daemon, cli: DockerCli, context: Path) -> None:
    """The step's process is ended by the next daemon; what was finished before is in the cache."""
    dockerfile = (
        "FROM busybox\nRUN echo first > /first\n"
        "RUN --mount=type=cache,target=/k if [ -f /k/seen ]; then exit 0; fi; touch /k/seen; sleep 300\n"
    )
    assert build(cli, context, "FROM busybox\nRUN echo warm\n").returncode == 0
    before = settled_holdings(daemon)
    (context / "Dockerfile").write_text(dockerfile)
    environment = {**cli.environment, "DOCKER_BUILDKIT": "0"}
    command = ["docker", "build", str(context)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as building:
        until(lambda: any(path.is_file() for path in (daemon.data_root / "build").rglob("seen")))
        daemon.kill()
        assert building.wait(20) != 0
    daemon.start()
    again = build(cli, context, dockerfile, "-t", "again")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Using cache" in again.stdout
    gained = wait_until_settled(daemon, before)
    # Each thread of the daemon's pool has a connection to the database, and a new daemon may have used more of them.
    gained["descriptors"] = [text for text in gained.get("descriptors", []) if "corten.db" not in text]
    assert {kind: texts for kind, texts in gained.items() if texts} == {}


def test_the_build_cache_is_counted_and_pruned(cli: DockerCli, context: Path) -> None:
    assert build(cli, context, "FROM busybox\nRUN head -c 1000000 /dev/zero > /z\n", "-t", "built").returncode == 0
    rows = cli("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}} {{.Reclaimable}}", check=True).stdout.splitlines()
    assert rows[3].startswith("Build Cache 1 0B")  # what an image has too is the image's
    assert "(100%)" in rows[0]
    cli("rmi", "built", check=True)
    rows = cli("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}", check=True).stdout.splitlines()
    assert rows[3] == "Build Cache 1 1MB"
    assert "1MB" in cli("builder", "prune", "-f", check=True).stdout
    rows = cli("system", "df", "--format", "{{.Type}} {{.TotalCount}}", check=True).stdout.splitlines()
    assert rows[3] == "Build Cache 0"


def test_a_gpu_that_cannot_be_given_is_refused(cli: DockerCli) -> None:
    refused = cli("run", "--rm", "--gpus", "all", "busybox", "true")
    assert refused.returncode == 125
    assert 'could not select device driver "" with capabilities: [[gpu]]' in refused.stderr
    assert cli("ps", "-aq", check=True).stdout == ""


def test_inspecting_nothing_says_so(cli: DockerCli) -> None:
    assert "No such object: nosuch" in cli("inspect", "nosuch").stderr


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
