"""Cache mounts: listed, mounted into containers, limited, removed; what is evicted leaves an event."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


@pytest.fixture
def engine_with_base(daemon: Daemon) -> Daemon:
    import_base(daemon)
    return daemon


def docker(engine: Daemon, *words: str) -> str:
    done = subprocess.run(["docker", *words], env={**os.environ, "DOCKER_HOST": engine.host}, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_cache_from_filling_to_removal(engine_with_base: Daemon, tmp_path: Path) -> None:
    engine = engine_with_base
    (tmp_path / "Dockerfile").write_text(
        "FROM corpus/base\nRUN --mount=type=cache,target=/c,id=pip head -c 100000 /dev/zero > /c/old; sleep 0.02; "
        "head -c 100000 /dev/zero > /c/new\n"
    )
    assert corten(engine.host, "build", str(tmp_path)).status == 0
    listed = corten(engine.host, "cache", "ls").out.splitlines()
    assert [line.split()[0] for line in listed] == ["CACHE", "pip"]
    assert docker(engine, "run", "--rm", "-v", "cache:pip:/root/.cache/pip", "corpus/base", "ls", "/root/.cache/pip") == "new\nold\n"
    docker(engine, "create", "--name", "user", "-v", "cache:pip:/p", "corpus/base")
    assert "in use by a build or a container" in corten(engine.host, "cache", "rm", "pip").err
    assert "pip" not in docker(engine, "builder", "prune", "-af")
    docker(engine, "rm", "user")
    assert "evicted" in corten(engine.host, "cache", "limit", "pip", "150kB").out
    assert docker(engine, "run", "--rm", "-v", "cache:pip:/p", "corpus/base", "ls", "/p") == "new\n"
    assert corten(engine.host, "cache", "rm", "missing", "pip").out == "pip\n"
    assert "no such cache" in corten(engine.host, "cache", "rm", "pip").err
    assert 'invalid quota "x"' in corten(engine.host, "cache", "limit", "pip", "x").err


def test_evictions_are_told(engine_with_base: Daemon, tmp_path: Path) -> None:
    engine = engine_with_base
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nRUN --mount=type=cache,target=/c,id=models echo x > /c/x\n")
    assert corten(engine.host, "build", str(tmp_path)).status == 0
    corten(engine.host, "cache", "rm", "models")
    now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout.strip()
    lines = engine.call("GET", f"/events?since=1&until={int(now) + 1}").body.splitlines()
    told = [event for event in map(json.loads, lines) if event.get("Action") == "evict"]
    assert [(e["Type"], e["Actor"]["ID"], e["Actor"]["Attributes"]["reason"]) for e in told] == [
        ("builder", "models", "removed by the user")
    ]
