"""The stock compose on a file whose services wait for each other."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dropin.conftest import Peer
from tests.support.clients import compose_program

pytestmark = pytest.mark.privileged
Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compose(peer: Peer, tmp_path: Path) -> Iterator[Compose]:
    program = compose_program()
    if program is None:
        pytest.skip("needs docker compose")
    environment = {"DOCKER_HOST": peer.host, "HOME": str(tmp_path), "PATH": os.environ["PATH"], "COMPOSE_PROJECT_NAME": peer.name[:40]}

    def run(services: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
        plain = {"image": peer.image, "stop_signal": "KILL", "network_mode": "none"}
        whole = {"services": {name: {**plain, **service} for name, service in services.items()}}
        (tmp_path / "compose.yaml").write_text(json.dumps(whole))
        return subprocess.run([program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100)

    yield run
    run({"none": {}}, "down", "-t", "0", "--remove-orphans")


def service(check: str, **more: Any) -> dict[str, Any]:
    health = {"test": ["CMD-SHELL", check], "interval": "200ms", "retries": 2}
    return {"command": "sh -c 'sleep 1; touch /tmp/ready; sleep 600'", "healthcheck": health, **more}


def test_a_service_waits_until_another_is_healthy(compose: Compose) -> None:
    database = service("test -e /tmp/ready")
    database["healthcheck"] |= {"retries": 50}
    after = {"command": "echo second", "depends_on": {"database": {"condition": "service_healthy"}}}
    done = compose({"database": database, "api": after}, "up", "--abort-on-container-exit")
    assert "second" in done.stdout, done.stderr


def test_up_waits_for_health(compose: Compose) -> None:
    done = compose(
        {"database": service("test -e /tmp/ready", healthcheck={"test": "test -e /tmp/ready", "interval": "200ms", "retries": 50})},
        "up",
        "--wait",
    )
    assert done.returncode == 0, done.stderr
    assert "Healthy" in done.stderr
    assert "(healthy)" in compose({"database": {}}, "ps").stdout


def test_up_fails_when_a_service_is_unhealthy(compose: Compose) -> None:
    done = compose({"database": service("false")}, "up", "--wait")
    assert done.returncode == 1
    assert "is unhealthy" in done.stderr


def test_what_depends_on_an_unhealthy_service_does_not_start(compose: Compose) -> None:
    after = {"command": "echo second", "depends_on": {"database": {"condition": "service_healthy"}}}
    done = compose({"database": service("false"), "api": after}, "up", "-d")
    assert done.returncode == 1
    assert "dependency failed to start" in done.stderr
