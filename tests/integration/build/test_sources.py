"""Where a build's files, secrets and keys come from: multipart requests, repositories, URLs, agents; and where results go."""

import json
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.processes import SLEEP, sleeping

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]


@pytest.fixture(scope="module", autouse=True)
def base(engine: Daemon) -> None:
    import_base(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


@pytest.fixture
def build(engine: Daemon, context: Path) -> Build:
    """`build(dockerfile, *flags)` builds the context with it and must succeed, unless `fails`."""

    def run(dockerfile: str, *flags: str, fails: bool = False, where: str = "") -> Said:
        if dockerfile:
            (context / "Dockerfile").write_text(dockerfile)
        said = corten(engine.host, "build", "--progress", "plain", *flags, where or str(context))
        assert (said.status != 0) == fails, said.err
        return said

    return run


@pytest.fixture
def web(engine: Daemon, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server where the engine can reach it: its address and folder."""
    folder = tmp_path / "web"
    folder.mkdir()
    command = ["nsenter", "-t", str(engine.namespace_pid), "-n", "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen([*command, "--directory", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().split(" port ")[1].split()[0]
            yield f"http://127.0.0.1:{port}", folder
        finally:
            server.kill()


@pytest.fixture
def repository(web: tuple[str, Path], tmp_path: Path) -> str:
    """`main` with a Dockerfile and a folder, the tag `old` before it."""
    address, folder = web
    work = tmp_path / "work"
    work.mkdir()

    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, "-C", str(work), *words], check=True, capture_output=True)

    git("init")
    (work / "Dockerfile").write_text("FROM corpus/base\nCOPY version /version\n")
    (work / "version").write_text("old\n")
    git("add", ".")
    git("commit", "-m", "old")
    git("tag", "old")
    (work / "version").write_text("new\n")
    (work / "sub").mkdir()
    (work / "sub" / "Dockerfile").write_text("FROM corpus/base\nCOPY tool /tool\n")
    (work / "sub" / "tool").write_text("#!/bin/sh\n")
    (work / "sub" / "tool").chmod(0o775)
    git("add", ".")
    git("commit", "-m", "new")
    bare = folder / "repo.git"
    subprocess.run(["git", "clone", "--bare", "-q", str(work), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)
    return f"{address}/repo.git"


def shown(engine: Daemon, tag: str, *command: str) -> str:
    said = subprocess.run(
        ["docker", "run", "--rm", tag, *command], env={**os.environ, "DOCKER_HOST": engine.host}, capture_output=True, text=True, check=True
    )
    return said.stdout


def test_secret_reaches_the_step_and_nothing_else(build: Build, engine: Daemon, name: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame-8271")
    said = build(
        "FROM corpus/base\nRUN --mount=type=secret,id=tok wc -c < /run/secrets/tok > /size\n",
        "--secret",
        f"id=tok,src={tmp_path}/token",
        "-t",
        name,
    )
    assert shown(engine, name, "cat", "/size") == "11\n"
    assert "sesame" not in said.err + said.out
    found = subprocess.run(["grep", "-rlaF", "sesame-8271", str(engine.data_root)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_ssh_agent_is_reached_through_a_socket_of_the_step(build: Build, engine: Daemon, name: str, tmp_path: Path) -> None:
    with agent(tmp_path / "agent") as path:
        dockerfile = (
            "FROM corpus/base\nRUN --mount=type=ssh,uid=1000,mode=0600 test -S $SSH_AUTH_SOCK && stat -c '%a %u' $SSH_AUTH_SOCK > /made\n"
        )
        build(dockerfile, "--ssh", f"default={path}", "-t", name)
    assert shown(engine, name, "cat", "/made") == "600 1000\n"


class agent:
    """Something that answers on a unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                channel, _ = self._socket.accept()
                with channel:
                    if channel.recv(64):
                        channel.sendall(b"pong\n")

    def __enter__(self) -> Path:
        self._thread.start()
        return self._path

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def test_git_context(build: Build, engine: Daemon, name: str, repository: str) -> None:
    build("", "-t", name, where=repository)
    assert shown(engine, name, "cat", "/version") == "new\n"
    build("", "-t", name, where=f"{repository}#old")
    assert shown(engine, name, "cat", "/version") == "old\n"
    build("", "-t", name, where=f"{repository}#main:sub")
    assert shown(engine, name, "stat", "-c", "%a", "/tool") == "755\n"
    assert "does not contain ref nope" in build("", where=f"{repository}#nope", fails=True).err


def test_git_context_with_its_repository(build: Build, engine: Daemon, name: str, repository: str) -> None:
    keep = ("--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1")
    dockerfile = "FROM corpus/base\nCOPY --from=src / /\n"
    build(dockerfile, "-t", name, "--build-context", f"src={repository}", *keep)
    assert shown(engine, name, "ls", "/.git/HEAD") == "/.git/HEAD\n"
    build(dockerfile, "-t", name, "--build-context", f"src={repository}")
    assert shown(engine, name, "sh", "-c", "ls -d /.git || true") == ""


def test_add_of_a_repository(build: Build, engine: Daemon, name: str, repository: str) -> None:
    build(f"FROM corpus/base\nADD {repository}#old /src\nADD --keep-git-dir=true {repository} /whole\n", "-t", name)
    assert shown(engine, name, "sh", "-c", "cat /src/version; ls -d /src/.git /whole/.git 2>/dev/null; true") == "old\n/whole/.git\n"
    assert "expected checksum" in build(f"FROM corpus/base\nADD --checksum={'0' * 40} {repository} /x\n", fails=True).err


def test_add_from_a_url(build: Build, engine: Daemon, name: str, web: tuple[str, Path]) -> None:
    address, folder = web
    (folder / "file.txt").write_text("downloaded\n")
    os.utime(folder / "file.txt", (400_000_000, 400_000_000))
    digest = "sha256:" + subprocess.check_output(["sha256sum", folder / "file.txt"], text=True).split()[0]
    build(
        f"FROM corpus/base\nADD --checksum={digest} {address}/file.txt /d/\nADD --chmod=644 {address}/file.txt /named\n",
        "-t",
        name,
        "--build-arg",
        "SOURCE_DATE_EPOCH=1600000000",
    )
    assert shown(engine, name, "stat", "-c", "%a %u %Y", "/d/file.txt", "/named") == "600 0 400000000\n644 0 400000000\n"
    assert "digest mismatch" in build(f"FROM corpus/base\nADD --checksum=sha256:{'0' * 64} {address}/file.txt /x\n", fails=True).err
    assert "invalid response status 404" in build(f"FROM corpus/base\nADD {address}/none /x\n", fails=True).err
    said = build("FROM corpus/base\nADD http://127.0.0.1:1/x /x\n", fails=True).err
    assert said.splitlines()[-1].endswith("http://127.0.0.1:1/x: [Errno 111] Connection refused")


def test_url_contexts(build: Build, engine: Daemon, name: str, web: tuple[str, Path], context: Path) -> None:
    address, folder = web
    (folder / "Dockerfile").write_text("FROM corpus/base\nRUN echo from-url > /x\n")
    build("", "-t", name, where=f"{address}/Dockerfile")
    assert shown(engine, name, "cat", "/x") == "from-url\n"
    (context / "Dockerfile").write_text("FROM corpus/base\nCOPY f /f\n")
    (context / "f").write_text("from-archive\n")
    with tarfile.open(folder / "c.tar.gz", "w:gz") as tar:
        tar.add(context, ".")
    build("", "-t", name, where=f"{address}/c.tar.gz")
    assert shown(engine, name, "cat", "/f") == "from-archive\n"
    assert "status 404" in build("", where=f"{address}/none.tar", fails=True).err


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_contexts_in_every_compression(engine: Daemon, name: str, context: Path, tmp_path: Path, mode: str) -> None:
    (context / "Dockerfile").write_text("FROM corpus/base\nCOPY f /f\n")
    (context / "f").write_text("packed\n")
    with tarfile.open(tmp_path / "c.tar", mode) as tar:  # type: ignore[call-overload]
        tar.add(context, ".")
    answer = engine.call("POST", f"/build?t={name}", (tmp_path / "c.tar").read_bytes())
    assert "Successfully tagged" in answer.body.decode()
    assert shown(engine, name, "cat", "/f") == "packed\n"


def test_rawjson_is_buildkits_status(build: Build) -> None:
    said = build("FROM corpus/base\nRUN echo marked\n", "--progress", "rawjson", "--no-cache")
    lines = [json.loads(line) for line in said.err.splitlines()]
    names = {v["name"] for line in lines for v in line.get("vertexes", ())}
    assert "[2/2] RUN echo marked" in names
    assert any(line.get("logs") for line in lines)


def test_results_are_written(build: Build, tmp_path: Path, name: str) -> None:
    said = build("FROM corpus/base\n", "-q", "-t", name, "--iidfile", f"{tmp_path}/id", "--metadata-file", f"{tmp_path}/meta")
    image = said.out.strip()
    assert image.startswith("sha256:")
    assert (tmp_path / "id").read_text() == image
    meta = json.loads((tmp_path / "meta").read_text())
    assert meta["containerimage.config.digest"] == meta["containerimage.digest"] == image
    assert meta["image.name"] == f"docker.io/library/{name}"
    assert meta["buildx.build.provenance"]["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert said.err == ""


def test_no_cache_filter_builds_that_stage_anew(build: Build) -> None:
    dockerfile = "FROM corpus/base AS one\nRUN echo 1 > /x\nFROM corpus/base AS two\nRUN echo 2 > /y\nCOPY --from=one /x /x\n"
    build(dockerfile)
    said = build(dockerfile, "--no-cache-filter", "two").err
    steps = {line.partition(" ")[0]: line for line in said.splitlines() if "] RUN" in line}
    done = {number: f"{number} CACHED" in said for number in steps}
    assert {("one" in steps[n], cached) for n, cached in done.items()} == {(True, True), (False, False)}


def test_host_network_needs_leave(build: Build) -> None:
    dockerfile = "FROM corpus/base\nRUN --network=host true\n"
    assert "network.host is not allowed" in build(dockerfile, fails=True).err
    build(dockerfile, "--allow", "network.host")


def test_cancelled_build_leaves_no_process(engine: Daemon, context: Path) -> None:
    (context / "Dockerfile").write_text(f"FROM corpus/base\nRUN --mount=type=cache,target=/c,id=cancel touch /c/begun; sleep {SLEEP}\n")
    command = ["docker", "build", str(context)]
    environment = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as building:
        until(lambda: any(path.name == "begun" for path in (engine.data_root / "build").rglob("begun")))
        building.terminate()
    until(lambda: sleeping() == [])
    assert building.returncode != 0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
