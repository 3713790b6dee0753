"""Registries by the stock CLI and by ours: the lines that both print are Docker's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, run_name
from tests.support.registry_process import registry_beside
from tests.support.two_clis import Cli, Seen, our_program

pytestmark = pytest.mark.privileged
PULLED = """\
v1: Pulling from app
Digest: sha256:<id64>
Status: Image is up to date for REGISTRY/app:v1
REGISTRY/app:v1
"""


@pytest.fixture(scope="module")
def registry(engine: Daemon) -> Iterator[str]:
    with registry_beside(engine.namespace_pid) as host:
        yield host


@pytest.fixture(scope="module")
def locked_registry(engine: Daemon) -> Iterator[str]:
    with registry_beside(engine.namespace_pid, "u:secret") as host:
        yield host


@pytest.fixture(params=["stock", "own"])
def cli(request: pytest.FixtureRequest, engine: Daemon, docker_program: str, tmp_path: Path) -> Cli:
    (tmp_path / "bin").mkdir()
    program = docker_program if request.param == "stock" else our_program(tmp_path / "bin")
    return Cli(program, run_name(request.node.nodeid), engine.host, tmp_path)


@pytest.fixture
def golden_cli(cli: Cli, request: pytest.FixtureRequest, docker_program: str) -> Cli:
    """Both too, the stock one only in the version that prints what is expected."""
    if cli.program == docker_program:
        request.getfixturevalue("golden_docker_program")
    return cli


def ran(cli: Cli, registry: str, line: str) -> Seen:
    seen = cli.run(line.replace("REGISTRY", registry))
    return Seen(seen.out.replace(registry, "REGISTRY"), seen.err.replace(registry, "REGISTRY"), seen.status)


def test_pull_prints_dockers_lines(cli: Cli, registry: str) -> None:
    ran(cli, registry, "docker pull REGISTRY/app:v1")
    assert ran(cli, registry, "docker pull REGISTRY/app:v1") == Seen(PULLED, "", 0)
    assert ran(cli, registry, "docker pull -q REGISTRY/app:v1") == Seen("REGISTRY/app:v1\n", "", 0)
    every = ran(cli, registry, "docker pull -a REGISTRY/app")
    assert every.out.splitlines()[-1] == "REGISTRY/app"
    assert [line for line in every.out.splitlines() if "Pulling from" in line] == ["v1: Pulling from app", "v2: Pulling from app"]
    for line, error in (
        ("docker pull REGISTRY/app:v9", "manifest for REGISTRY/app:v9 not found: manifest unknown: manifest unknown"),
        ("docker pull -a REGISTRY/app:v1", "tag can't be used with --all-tags/-a"),
    ):
        seen = ran(cli, registry, line)
        assert (seen.err.splitlines()[0].removeprefix("Error response from daemon: "), seen.status) == (error, 1)
    assert ran(cli, registry, "docker run --rm REGISTRY/app:v2 cat /tag").out == "v2"


def test_push_prints_dockers_lines(cli: Cli, registry: str) -> None:
    ran(cli, registry, "docker pull -q REGISTRY/app:v1")
    ran(cli, registry, "docker tag REGISTRY/app:v1 REGISTRY/{n}:one")
    seen = ran(cli, registry, "docker push REGISTRY/{n}:one")
    lines = seen.out.splitlines()
    assert lines[0] == "The push refers to repository [REGISTRY/NAME]"
    assert lines[1:3] == ["<id12>: Preparing"] * 2
    assert lines[-1].startswith("one: digest: sha256:<id64> size: ")
    assert ran(cli, registry, "docker push -q REGISTRY/{n}:one") == Seen("REGISTRY/NAME:one\n", "", 0)
    missing = ran(cli, registry, "docker push REGISTRY/{n}:two")
    assert missing.err.splitlines()[0] == "An image does not exist locally with the tag: REGISTRY/NAME"
    ran(cli, registry, "docker rmi REGISTRY/{n}:one")


def test_login_is_kept_used_and_forgotten(cli: Cli, locked_registry: str) -> None:
    config = Path(cli.environment["DOCKER_CONFIG"]) / "config.json"
    refused = ran(cli, locked_registry, "docker pull REGISTRY/app:v1")
    assert refused.err.splitlines()[0].endswith("no basic auth credentials")
    wrong = ran(cli, locked_registry, "echo bad | docker login REGISTRY -u u --password-stdin")
    assert "login attempt to http://REGISTRY/v2/ failed with status: 401 Unauthorized" in wrong.err
    assert not config.exists()
    right = ran(cli, locked_registry, "echo secret | docker login REGISTRY -u u --password-stdin")
    assert right.out.endswith("Login Succeeded\n")
    assert "stored unencrypted" in right.err
    assert json.loads(config.read_text())["auths"] == {locked_registry: {"auth": "dTpzZWNyZXQ="}}
    assert ran(cli, locked_registry, "docker pull -q REGISTRY/app:v1") == Seen("REGISTRY/app:v1\n", "", 0)
    assert ran(cli, locked_registry, "docker logout REGISTRY") == Seen("Removing login credentials for REGISTRY\n", "", 0)
    assert json.loads(config.read_text()).get("auths", {}) == {}
    ran(cli, locked_registry, "docker rmi REGISTRY/app:v1")


HELPER = """#!/bin/sh
case $1 in
store) cat > "$HOME/kept" ;;
get) [ -s "$HOME/kept" ] && cat "$HOME/kept" || { echo credentials not found in native keychain; exit 1; } ;;
erase) rm -f "$HOME/kept" ;;
esac
"""


def test_a_credential_helper_keeps_the_password(cli: Cli, locked_registry: str) -> None:
    helper = cli.folder / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    cli.environment["PATH"] = f"{cli.folder}:{cli.environment['PATH']}"
    config = Path(cli.environment["DOCKER_CONFIG"]) / "config.json"
    config.write_text('{"credsStore": "test", "HttpHeaders": {"X": "y"}}')
    right = ran(cli, locked_registry, "echo secret | docker login REGISTRY -u u --password-stdin")
    assert right == Seen("Login Succeeded\n", "", 0)
    kept = json.loads((cli.folder / "kept").read_text())
    assert (kept["ServerURL"], kept["Username"], kept["Secret"]) == (locked_registry, "u", "secret")
    assert "secret" not in config.read_text()
    assert json.loads(config.read_text())["HttpHeaders"] == {"X": "y"}
    assert ran(cli, locked_registry, "docker pull -q REGISTRY/app:v1").status == 0
    ran(cli, locked_registry, "docker logout REGISTRY")
    assert not (cli.folder / "kept").exists()
    ran(cli, locked_registry, "docker rmi REGISTRY/app:v1")


def test_search(golden_cli: Cli, registry: str) -> None:
    cli = golden_cli
    table = ran(cli, registry, "docker search REGISTRY/x")
    assert [line.split() for line in table.out.splitlines()] == [
        ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"],
        ["a/one", "first", "line", "5", "[OK]"],
        ["two", "x" * 44 + "…", "50"],
    ]
    lines = ran(cli, registry, "docker search --filter stars=10 --format '{{.Name}} {{.StarCount}}' REGISTRY/x")
    assert lines == Seen("two 50\n", "", 0)
    for option, error in (
        ("--limit 101", "limit 101 is outside the range of [1, 100]"),
        ("--filter foo=bar", "invalid filter 'foo'"),
    ):
        seen = ran(cli, registry, f"docker search {option} REGISTRY/x")
        assert (seen.err.splitlines()[0], seen.status) == (f"Error response from daemon: {error}", 1)


def test_the_tree_shows_platforms(golden_cli: Cli, registry: str) -> None:
    cli = golden_cli
    ran(cli, registry, "docker pull -q REGISTRY/app:v1")
    lines = ran(cli, registry, "docker images --tree REGISTRY/app:v1").out.splitlines()
    assert lines[0].startswith("WARNING: This is an experimental feature.")
    assert lines[4].startswith("REGISTRY/app:v1")
    assert lines[5].startswith("└─ linux/amd64")
