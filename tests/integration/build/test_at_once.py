"""Builds at the same time: a step that two of them want runs once; one that is cancelled takes nothing from the other."""

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


def dockerfile(name: str, seconds: float, last: str = "") -> str:
    """Each run of the step leaves a line in the cache `name`."""
    return f"FROM corpus/base\nRUN --mount=type=cache,target=/c,id={name} echo run >> /c/runs; sleep {seconds}; echo done > /x\n{last}"


def runs(engine: Daemon, name: str) -> int:
    found = [path.read_text().count("run") for path in (engine.data_root / "build").rglob("runs") if name in path_id(engine, path)]
    return sum(found)


def path_id(engine: Daemon, path: Path) -> str:
    ids = {cache["ID"] for cache in engine.call("GET", "/corten/caches").json()}
    return next((i for i in ids if hashlib.sha256(i.encode()).hexdigest() == path.parent.name), "")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_two_builds_share_a_step(engine: Daemon, name: str, tmp_path: Path) -> None:
    import_base(engine)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile(name, 1.5, f"RUN echo {folder.name} > /y\n"))
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda f: corten(engine.host, "build", "--progress", "plain", "-t", f"{name}:{f.name}", str(f)), folders))
    assert [said.status for said in both] == [0, 0], both[0].err + both[1].err
    assert runs(engine, name) == 1
    images = [engine.call("GET", f"/images/{name}:{f.name}/json").json()["RootFS"]["Layers"] for f in folders]
    assert images[0][:2] == images[1][:2]
    assert images[0][2] != images[1][2]


@pytest.mark.parametrize("victim", ["first", "second"])
def test_a_cancelled_build_takes_nothing_from_the_other(engine: Daemon, name: str, tmp_path: Path, victim: str) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(dockerfile(name, 2))
    command = ["docker", "build", "-t", name, str(tmp_path)]
    environment = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
    started = []
    for _ in range(2):
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        until(lambda: runs(engine, name) == 1)
        time.sleep(0.4)
    loser, winner = started if victim == "first" else started[::-1]
    with loser, winner:
        loser.kill()
        said, _ = winner.communicate(timeout=30)
    assert winner.returncode == 0, said
    assert runs(engine, name) == 1
    assert "Successfully tagged" in said
