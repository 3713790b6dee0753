"""Strangers' clients build: the stock CLI without buildx, docker-py in each of its ways, compose by the classic call, testcontainers."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest
from testcontainers.core.image import DockerImage

from tests.support.clients import DockerCli, compose_program, two_stages
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
TAG = "client-built:v1"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return two_stages(tmp_path / "context")


@pytest.fixture(autouse=True)
def nothing_is_left(engine: Daemon) -> Iterator[None]:
    yield
    engine.call("DELETE", f"/images/{TAG}?force=1")


def told(client: Any, command: str) -> str:
    return str(client.containers.run(TAG, ["sh", "-c", command], remove=True, network_mode="none").decode())


@pytest.mark.parametrize("switch", ["", "0"])
def test_the_stock_cli_without_buildx_builds(docker_cli: DockerCli, context: Path, switch: str) -> None:
    """With DOCKER_BUILDKIT=0, and without the variable where there is no plug-in."""
    environment = {**docker_cli.environment, **({"DOCKER_BUILDKIT": switch} if switch else {})}
    done = subprocess.run(["docker", "build", "-t", TAG, "."], cwd=context, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Successfully tagged {TAG}"
    assert "Step 1/7 : ARG GREETING=hello" in done.stdout
    shown = docker_cli("run", "--rm", TAG, "sh", "-c", "cat /greeting /last /srv/file; ls /srv", check=True).stdout
    assert shown == "hello\nlast\ncontent\nDockerfile\nfile\n"


def test_null_means_that_nothing_was_given(engine: Daemon, docker_py: Any) -> None:
    """As Docker's client 20.10 sends what it was not told."""
    nothing = "&".join(f"{name}=null" for name in ("ulimits", "buildargs", "labels", "cachefrom", "extrahosts"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        text = f"FROM {IMAGE}\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    target = docker_py.api._url("/build") + f"?t={TAG}&{nothing}"
    answer = docker_py.api.post(target, data=packed.getvalue(), headers={"Content-Type": "application/x-tar"})
    assert answer.text.splitlines()[-1] == json.dumps({"stream": f"Successfully tagged {TAG}\n"}, separators=(",", ":"))


def test_the_stock_cli_takes_its_flags(docker_cli: DockerCli, context: Path, tmp_path: Path) -> None:
    outside = tmp_path / "Outside.Dockerfile"
    outside.write_text(f"FROM {IMAGE}\nCOPY file /\nRUN cat /etc/hosts > /hosts\n")
    flags = ["-f", str(outside), "--iidfile", str(tmp_path / "id"), "--label", "who=me", "--add-host", "away:10.1.2.3", "-q", "--no-cache"]
    done = docker_cli("build", *flags, "-t", TAG, str(context), check=True)
    assert done.stdout.strip() == (tmp_path / "id").read_text().strip()
    assert json.loads(docker_cli("inspect", TAG, check=True).stdout)[0]["Config"]["Labels"]["who"] == "me"
    assert "10.1.2.3\taway" in docker_cli("run", "--rm", TAG, "cat", "/hosts", check=True).stdout


def test_the_stock_cli_builds_from_standard_input(docker_cli: DockerCli) -> None:
    docker_cli("build", "-t", TAG, "-", stdin=f"FROM {IMAGE}\nRUN echo piped > /piped\n", check=True)
    assert docker_cli("run", "--rm", TAG, "cat", "/piped", check=True).stdout == "piped\n"


def test_a_failing_run_gives_its_status_and_no_tag(docker_cli: DockerCli, context: Path) -> None:
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 7\n")
    done = docker_cli("build", "-t", TAG, str(context))
    assert done.returncode == 7
    assert "The command '/bin/sh -c exit 7' returned a non-zero code: 7" in done.stderr
    assert docker_cli("image", "inspect", TAG).returncode != 0


def test_docker_py_builds_from_a_path(docker_py: Any, context: Path) -> None:
    options = {"buildargs": {"GREETING": "hi"}, "target": "base", "labels": {"a": "b"}, "rm": True, "forcerm": True, "pull": False}
    image, log = docker_py.images.build(path=str(context), tag=TAG, nocache=True, extra_hosts={"away": "10.1.2.3"}, **options)
    assert image.labels == {"a": "b"}
    assert image.tags == [TAG]
    assert told(docker_py, "cat /greeting; ls /last 2>&1 || true").startswith("hi\nls: /last")
    assert any("Successfully built" in line.get("stream", "") for line in log)


def test_docker_py_builds_from_an_open_file(docker_py: Any) -> None:
    image, _ = docker_py.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN echo x > /x\n".encode()), tag=TAG)
    assert told(docker_py, "cat /x") == "x\n"
    assert image.id == docker_py.images.get(TAG).id


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_docker_py_builds_from_a_context_of_its_own(docker_py: Any, context: Path, mode: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        tar.add(context, arcname=".")
    buffer.seek(0)
    encoding = {"w:gz": "gzip", "w:bz2": "bzip2", "w:xz": "xz"}.get(mode)
    docker_py.images.build(fileobj=buffer, custom_context=True, encoding=encoding, tag=TAG, cache_from=[IMAGE])
    assert told(docker_py, "cat /greeting /last") == "hello\nlast\n"


def test_docker_py_takes_a_dockerfile_outside_the_context(docker_py: Any, context: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.write_text(f"FROM {IMAGE}\nCOPY file /outside\n")
    docker_py.images.build(path=str(context), dockerfile=str(outside), tag=TAG)
    assert told(docker_py, "cat /outside") == "content\n"


def test_docker_py_gets_a_build_error_with_its_log(docker_py: Any) -> None:
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 5") as caught:
        docker_py.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN echo why; exit 5\n".encode()), tag=TAG)
    assert any(line.get("stream") == "why\n" for line in caught.value.build_log)
    with pytest.raises(docker.errors.APIError, match="unknown instruction: NONSENSE"):
        docker_py.images.build(fileobj=io.BytesIO(b"NONSENSE\n"), tag=TAG)


@pytest.fixture
def compose(docker_cli: DockerCli, context: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`docker compose WORDS` without BuildKit, in the context's folder."""
    program = compose_program()
    if program is None:
        pytest.skip("needs docker compose")
    environment = {**docker_cli.environment, "DOCKER_BUILDKIT": "0", "COMPOSE_PROJECT_NAME": "built", "PATH": os.environ["PATH"]}

    def run(build: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        service = {"build": {"context": ".", **build}, "image": TAG, "command": "cat /greeting", "network_mode": "none"}
        top = {"services": {"app": service}, "secrets": {"word": {"file": "./secret"}}}
        (context / "compose.yaml").write_text(json.dumps(top))
        return subprocess.run([program, *words], cwd=context, env=environment, capture_output=True, text=True, check=False)

    return run


def test_compose_builds_and_starts(engine: Daemon, compose: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    wanted: dict[str, Any] = {
        "args": {"GREETING": "composed"},
        "target": "base",
        "labels": {"a": "b"},
        "cache_from": ["nothing:here"],
        "shm_size": "128m",
    }
    wanted |= {"extra_hosts": ["away:10.1.2.3"], "no_cache": True, "ulimits": {"nofile": 100}, "network": "none", "tags": [f"{TAG}-too"]}
    try:
        done = compose(wanted, "build")
        assert done.returncode == 0, done.stderr + done.stdout
        assert engine.call("GET", f"/images/{TAG}/json").json()["Config"]["Labels"]["a"] == "b"
        assert engine.call("DELETE", f"/images/{TAG}-too?force=1").status == 200
        engine.call("DELETE", f"/images/{TAG}?force=1")
        assert "composed" in compose(wanted, "up", "--build", "--abort-on-container-exit").stdout
    finally:
        compose(wanted, "down")


@pytest.mark.parametrize(
    "wish", [{"secrets": ["word"]}, {"ssh": ["default"]}, {"additional_contexts": {"more": "."}}, {"privileged": True}]
)
def test_what_compose_itself_refuses_without_buildkit(
    wish: dict[str, Any], compose: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = compose(wish, "build")
    assert done.returncode == 1
    assert "the classic builder doesn't support" in done.stderr


def test_testcontainers_builds(engine: Daemon, context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with DockerImage(path=str(context), tag=TAG, buildargs={"GREETING": "tested"}) as image:
        assert str(image) == TAG
        assert engine.call("GET", f"/images/{TAG}/json").status == 200
    assert engine.call("GET", f"/images/{TAG}/json").status == 404
