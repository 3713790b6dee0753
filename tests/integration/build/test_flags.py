"""Flags and forms of `build` that no other file here types: sources of contexts, caches on and off, names, secrets in every form."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

pytestmark = pytest.mark.privileged
Build = Callable[..., Said]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


@pytest.fixture
def build(engine: Daemon, context: Path) -> Build:
    import_base(engine)

    def run(dockerfile: str, *flags: str, status: int = 0) -> Said:
        (context / "Dockerfile").write_text(dockerfile)
        said = corten(engine.host, "build", "--progress", "plain", *flags, str(context))
        assert said.status == status, said.err
        return said

    return run


def cached(said: Said) -> list[bool]:
    """Of each RUN and COPY, in order, whether it came from the cache."""
    numbers = [line.partition(" ")[0] for line in said.err.splitlines() if "] RUN" in line or "] COPY" in line]
    return [f"{number} CACHED" in said.err for number in numbers]


def piped(engine: Daemon, given: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "corten.cli.main", "build", "--progress", "plain", *words]
    return subprocess.run(command, input=given, env={**os.environ, "DOCKER_HOST": engine.host}, capture_output=True, check=False)


def test_a_dockerfile_from_stdin(build: Build, engine: Daemon, context: Path) -> None:
    """Alone it has no context; with `-f -` the folder is there."""
    done = piped(engine, b"FROM corpus/base\nRUN echo alone\n", "-")
    assert done.returncode == 0, done.stderr
    assert b"alone" in done.stderr
    done = piped(engine, b"FROM corpus/base\nCOPY file /\n", "-")
    assert b'"/file": not found' in done.stderr
    (context / "file").write_text("here")
    done = piped(engine, b"FROM corpus/base\nCOPY file /\nRUN cat /file\n", "-f", "-", str(context))
    assert b"here" in done.stderr
    assert b"can't use stdin for both" in piped(engine, b"FROM scratch\n", "-f", "-", "-").stderr


def test_an_archive_from_stdin(build: Build, engine: Daemon, context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text("FROM corpus/base\nCOPY file /\nRUN cat /file\n")
    (context / "other").write_text("FROM corpus/base\nRUN echo the other\n")
    (context / "file").write_text("from the archive")
    for mode in ("w", "w:gz", "w:xz"):
        with tarfile.open(tmp_path / "c.tar", mode) as tar:
            tar.add(context, ".")
        raw = (tmp_path / "c.tar").read_bytes()
        assert b"from the archive" in piped(engine, raw, "--no-cache", "-").stderr
        assert b"the other" in piped(engine, raw, "--no-cache", "-f", "other", "-").stderr
    assert piped(engine, b"\x1f\x8b\x08 no archive", "-").returncode == 1


def test_a_dockerfile_outside_the_context(build: Build, engine: Daemon, context: Path, tmp_path: Path) -> None:
    (tmp_path / "Outside").write_text("FROM corpus/base\nCOPY . /c\nRUN ls -A /c\n")
    (context / "kept").write_text("x")
    (context / "dropped").write_text("x")
    (context / ".dockerignore").write_text("dropped\n")
    said = corten(engine.host, "build", "--progress", "plain", "--no-cache", "-f", str(tmp_path / "Outside"), str(context))
    assert " kept" in said.err
    assert " dropped" not in said.err


def test_times_do_not_count(build: Build, context: Path) -> None:
    (context / "f").write_text("same")
    dockerfile = "FROM corpus/base\nCOPY f /times\nRUN true\n"
    build(dockerfile)
    os.utime(context / "f", (1, 1))
    assert cached(build(dockerfile)) == [True, True]
    (context / "f").write_text("other")
    assert cached(build(dockerfile)) == [False, False]
    (context / "f").chmod(0o600)
    assert cached(build(dockerfile)) == [False, False]
    assert cached(build(dockerfile, "--no-cache")) == [False, False]


def test_stages_that_need_nothing_of_each_other_run_side_by_side(build: Build) -> None:
    """Each waits for the other one's file."""
    wait = "for n in $(seq 200); do test -e /c/{other} && exit 0; sleep 0.05; done; exit 1"
    stage = "FROM corpus/base AS {name}\nRUN --mount=type=cache,id=meeting,target=/c touch /c/{name}; " + wait + "\nRUN touch /{name}\n"
    dockerfile = stage.format(name="one", other="two") + stage.format(name="two", other="one")
    made = build(f"{dockerfile}FROM corpus/base\nCOPY --from=one /one /\nCOPY --from=two /two /\n", "--no-cache")
    assert made.status == 0, "one after the other, the first would wait in vain"


def test_pull_and_digests(build: Build, engine: Daemon) -> None:
    """`--pull` finds what has changed at the registry; a digest stays what it is."""
    with registry_beside(engine.namespace_pid) as host:
        push = f"{host}/moving:1"
        build("FROM corpus/base\nLABEL n=1\nRUN echo 1 > /n\n", "--push", "-t", push)
        old = engine.call("GET", f"/images/{push}/json").json()
        build("FROM corpus/base\nLABEL n=2\nRUN echo 2 > /n\n", "--push", "-t", push)
        engine.call("POST", f"/images/{old['Id']}/tag?repo={host}/moving&tag=1").ok()
        dockerfile = f"FROM {push}\nRUN echo the file has $(cat /n)\n"
        assert "the file has 1" in build(dockerfile, "--no-cache").err
        assert "the file has 2" in build(dockerfile, "--pull", "--no-cache").err
        pinned = f"FROM {host}/moving@{old['RepoDigests'][0].rpartition('@')[2]}\nRUN echo the file has $(cat /n)\n"
        assert "the file has 1" in build(pinned, "--pull", "--no-cache").err
        missing = f"{host}/moving@sha256:{'0' * 64}"
        assert missing in build(f"FROM {missing}\n", status=1).err
        assert f"{host}/moving:9" in build(f"FROM {host}/moving:9\n", "--pull", status=1).err


def test_many_names_and_labels(build: Build, engine: Daemon, tmp_path: Path) -> None:
    words = ("-t", "many/a", "-t", "many/b:2", "--label", "one=1", "--label", "two", "--iidfile", str(tmp_path / "id"))
    said = build("FROM scratch\nLABEL one=0 three=3\n", "-q", *words)
    for name in ("many/a:latest", "many/b:2"):
        found = engine.call("GET", f"/images/{name}/json").json()
        assert found["Id"] == said.out.strip() == (tmp_path / "id").read_text()
        assert found["Config"]["Labels"] == {"one": "1", "two": "", "three": "3"}
        engine.call("DELETE", f"/images/{name}").ok()


def test_nothing_of_a_failed_build_is_named(build: Build, engine: Daemon, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("old")
    said = build("FROM corpus/base\nRUN exit 7\n", "-t", "failed/x", "--iidfile", f"{tmp_path}/id", "-o", f"{tmp_path}/out", status=1)
    assert 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7' in said.err
    assert engine.call("GET", "/images/failed%2Fx/json").status == 404
    assert not (tmp_path / "out").exists()


def test_secrets_in_every_form(build: Build, context: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s").write_text("seven77")
    monkeypatch.setenv("TOKEN", "four")
    monkeypatch.setenv("byname", "sixsix")
    mounted = "FROM corpus/base\nRUN --mount=type=secret,id={id} echo it has $(wc -c < {path})\n"
    for flag, name, size in (
        (f"id=a,src={tmp_path}/s", "a", 7),
        (f"type=file,id=b,source={tmp_path}/s", "b", 7),
        ("id=c,env=TOKEN", "c", 4),
        ("id=byname", "byname", 6),
        ("type=env,id=TOKEN", "TOKEN", 4),
    ):
        dockerfile = mounted.format(id=name, path=f"/run/secrets/{name}")
        assert f"it has {size}" in build(dockerfile, "--no-cache", "--secret", flag).err
    placed = "FROM corpus/base\nRUN --mount=type=secret,id=a,target=/t,mode=0444,uid=5 stat -c %a:%u /t\n"
    assert "444:5" in build(placed, "--secret", f"id=a,src={tmp_path}/s").err
    by_env = "FROM corpus/base\nRUN --mount=type=secret,id=a,env=SEEN test $SEEN = seven77 && echo right\n"
    assert "right" in build(by_env, "--no-cache", "--secret", f"id=a,src={tmp_path}/s").err


def test_keys_are_not_read(build: Build, tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("a key")
    said = build("FROM scratch\nLABEL a=b\n", "--ssh", f"default={tmp_path}/id_rsa", status=1)
    assert "is a key, and only agents can be forwarded: add it with ssh-add, then use --ssh default" in said.err


class _Guarded(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = {"Bearer sesame", "Basic c2VzYW1l"}
        self.send_response(200 if self.headers.get("Authorization") in wanted else 401)
        self.end_headers()
        self.wfile.write(b"guarded\n")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve_guarded() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Guarded)
    print(server.server_port, flush=True)
    server.serve_forever()


@pytest.fixture
def guarded(daemon: Daemon) -> Iterator[str]:
    """A web server that wants authorization, in the engine's network."""
    code = "from tests.integration.build.test_flags import serve_guarded; serve_guarded()"
    command = ["nsenter", "-t", str(daemon.namespace_pid), "-n", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def test_add_with_authorization(daemon: Daemon, guarded: str, tmp_path: Path) -> None:
    import_base(daemon)
    (tmp_path / "Dockerfile").write_text(f"FROM corpus/base\nADD http://{guarded}/f /f\nRUN cat /f\n")
    (tmp_path / "token").write_text("sesame\n")
    (tmp_path / "header").write_text("Basic c2VzYW1l\n")
    assert "invalid response status 401" in corten(daemon.host, "build", str(tmp_path)).err
    for secret in (f"id=HTTP_AUTH_TOKEN_{guarded},src={tmp_path}/token", f"id=HTTP_AUTH_HEADER_{guarded},src={tmp_path}/header"):
        said = corten(daemon.host, "build", "--progress", "plain", "--no-cache", "--secret", secret, str(tmp_path))
        assert "guarded" in said.err
        assert said.status == 0


def test_progress(build: Build) -> None:
    dockerfile = "FROM corpus/base\nRUN echo marked\n"
    for kind in ("auto", "plain"):
        assert "marked" in build(dockerfile, "--no-cache", "--progress", kind).err
    for kind in ("quiet", "none"):
        assert build(dockerfile, "--no-cache", "--progress", kind).err == ""
    assert "provided file is not a console" in build(dockerfile, "--progress", "tty", status=1).err
    assert build("FROM corpus/base\nRUN exit 3\n", "-q", status=1).err.count("exit code: 3") == 1
    long = build("FROM corpus/base as x\n", "-D").err
    assert "1 warning found:" in long
    assert "WARNING: FromAsCasing - https://" in long
    assert "use --debug to expand" in build("FROM corpus/base as x\n").err


def test_cancel_from_the_terminal(build: Build, engine: Daemon, context: Path) -> None:
    """Ctrl-C ends the step, and the exit status says so."""
    (context / "Dockerfile").write_text("FROM corpus/base\nRUN echo begun && sleep 300\n")
    command = [sys.executable, "-m", "corten.cli.main", "build", "--progress", "plain", "--no-cache", str(context)]
    with subprocess.Popen(command, env={**os.environ, "DOCKER_HOST": engine.host}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith("begun\n") and "RUN" not in line:
                break
        process.send_signal(2)
        process.stderr.read()
        assert process.wait(20) in (130, -2)
