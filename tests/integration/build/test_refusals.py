"""What builds cannot do yet is refused by name, never passed over."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.build.building import corten
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


@pytest.fixture
def context(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("--provenance", "version=v1"),
        ("--attest", "type=sbom"),
        ("--sbom", "true"),
        ("--squash",),
        ("--security-opt", "seccomp=unconfined"),
        ("--call", "subrequests.describe"),
        ("--platform", "linux/amd64,linux/arm64"),
    ],
    ids=lambda words: words[0],
)
def test_flags(daemon: Daemon, context: str, words: tuple[str, ...]) -> None:
    done = corten(daemon.host, "build", *words, context)
    assert done.status == 1
    assert words[0].removeprefix("--call") in done.err
    assert "supported" in done.err or "takes one platform" in done.err


def test_what_asks_for_nothing_is_taken(daemon: Daemon, context: str) -> None:
    done = corten(daemon.host, "build", "-q", "--provenance=false", "--sbom=false", context)
    assert done.status == 0


def test_the_stock_cli_hears_it_too(daemon: Daemon, context: str) -> None:
    """Its own check of `Experimental` comes first; the API says it too."""
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", "build", "--squash", context], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "only supported on a Docker daemon with experimental features enabled" in done.stderr
    refused = daemon.call("POST", "/build?squash=1", b"")
    assert (refused.status, refused.json()["message"]) == (400, "squash is only supported with experimental mode")


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("isolation=hyperv", 400, 'unsupported isolation: "hyperv"'),
        ("securityopt=%5B%22seccomp%3Dunconfined%22%5D", 400, "security options are not supported on linux"),
        ("version=3", 400, 'invalid version "3"'),
        ("networkmode=container:x", 501, "RUN steps cannot join a container's network namespace"),
    ],
)
def test_parameters(engine: Daemon, query: str, status: int, message: str) -> None:
    """The first three in Docker's words."""
    refused = engine.call("POST", f"/build?{query}", b"")
    assert (refused.status, refused.json()["message"]) == (status, message)


def test_call_check_is_check(engine: Daemon, context: str) -> None:
    said = corten(engine.host, "build", "--call", "check", context)
    assert (said.status, said.out) == (0, "Check complete, no warnings found.\n")
