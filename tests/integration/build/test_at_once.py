"""Builds at the same time: a step that two of them want runs once; one that is cancelled takes nothing from the other."""

import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.support.daemon import Daemon
from tests.support.registry_process import registry_beside

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


def in_background(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)


def has_come_to_step(number: int, log: Path) -> bool:
    return f"Step {number}/" in log.read_text()


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
    for log in (tmp_path / "first", tmp_path / "second"):
        started.append(in_background(command, environment, log))
        until(functools.partial(has_come_to_step, 2, log))
        until(lambda: runs(engine, name) == 1)
    loser, winner = started if victim == "first" else started[::-1]
    with loser, winner:
        loser.kill()
        winner.wait(30)
    said = (tmp_path / ("second" if victim == "first" else "first")).read_text()
    assert winner.returncode == 0, said
    assert runs(engine, name) == 1
    assert "Successfully tagged" in said


SLOW_FILE = """
import http.server, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        time.sleep(2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"text")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
print(server.server_port, flush=True)
server.serve_forever()
"""
MANY = "FROM corpus/base AS made\nRUN mkdir /d; i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo $i{name} > /d/$i; done; sleep 1\n"


def at_once(engine: Daemon, name: str, folder: Path, dockerfile: str, flags: tuple[str, ...] = (), count: int = 8) -> list[Said]:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)
    with ThreadPoolExecutor(count) as pool:
        return list(
            pool.map(lambda n: corten(engine.host, "build", "--progress", "plain", "-t", f"{name}:{n}", *flags, str(folder)), range(count))
        )


def uses(engine: Daemon, line: str) -> int:
    """How often the step was had since it was made last."""
    found = engine.call("GET", "/system/df?type=build-cache").json()["BuildCache"]
    return max((entry["UsageCount"] for entry in found if entry["Description"].startswith(line)), default=0)


@pytest.mark.parametrize("count", [2, 8])
def test_builds_share_copies_and_directories(engine: Daemon, name: str, tmp_path: Path, count: int) -> None:
    """Made once: a step that is made again counts its uses anew."""
    import_base(engine)
    text = f"{MANY.format(name=name)}FROM corpus/base\nWORKDIR /{name}\nCOPY --from=made /d /{name}\n"
    ended = at_once(engine, name, tmp_path, text, count=count)
    assert [said.status for said in ended] == [0] * count, ended[0].err
    assert len({engine.call("GET", f"/images/{name}:{n}/json").json()["Id"] for n in range(count)}) == 1
    assert uses(engine, f"COPY /d /{name}") == uses(engine, f"WORKDIR /{name}") == count


def test_builds_without_the_cache_do_their_own(engine: Daemon, name: str, tmp_path: Path) -> None:
    import_base(engine)
    text = f"{dockerfile(name, 0.5)}COPY --from=corpus/base /bin /{name}\n"
    ended = at_once(engine, name, tmp_path, text, ("--no-cache",), 3)
    assert [said.status for said in ended] == [0] * 3, ended[0].err
    assert runs(engine, name) == 3
    assert uses(engine, f"COPY /bin /{name}") == 1


def test_a_failure_of_a_shared_step_is_told_to_all(engine: Daemon, name: str, tmp_path: Path) -> None:
    import_base(engine)
    text = f"{MANY.format(name=name)}FROM corpus/base\nRUN echo > /file\nCOPY --from=made /d /file\n"
    ended = at_once(engine, name, tmp_path, text, count=2)
    assert [said.status for said in ended] == [1, 1]
    assert all("cannot copy to non-directory" in said.err for said in ended), ended[0].err
    assert at_once(engine, name, tmp_path, text.replace("/d /file", "/d /dir"), count=1)[0].status == 0


@pytest.mark.parametrize("victim", [0, 1])
def test_a_cancelled_build_takes_no_copy_from_the_other(engine: Daemon, name: str, tmp_path: Path, victim: int) -> None:
    """Both wait for the stage; one goes while files are copied."""
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(f"{MANY.format(name=name)}FROM corpus/base\nCOPY --from=made /d /d\nRUN ls /d | wc -l\n")
    environment = {**os.environ, "DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0"}
    command = ["docker", "build", "-t", name, str(tmp_path)]
    started = []
    for number in range(2):
        started.append(in_background(command, environment, log := tmp_path / f"log{number}"))
        until(functools.partial(has_come_to_step, 2, log))
    until(lambda: any(engine.data_root.glob("snapshots/*/upper/d/3000")) or bool(uses(engine, "COPY /d /d")))
    loser, winner = started.pop(victim), started.pop()
    with loser, winner:
        loser.kill()
        winner.wait(30)
    said = (tmp_path / f"log{1 - victim}").read_text()
    assert winner.returncode == 0, said
    assert "\n6000\n" in said


def test_builds_share_what_add_fetches(engine: Daemon, name: str, tmp_path: Path) -> None:
    import_base(engine)
    command = ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net", sys.executable, "-c", SLOW_FILE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        ended = at_once(engine, name, tmp_path, f"FROM corpus/base\nADD http://127.0.0.1:{port}/{name} /f\n")
        server.kill()
        asked = server.stdout.read().splitlines()
    assert [said.status for said in ended] == [0] * 8, ended[0].err
    assert len(asked) == 1


def test_builds_share_the_pull_of_their_base(engine: Daemon, name: str, tmp_path: Path) -> None:
    with registry_beside(engine.namespace_pid) as host:
        ended = at_once(engine, name, tmp_path, f"FROM {host}/app:v1\nRUN echo {name}\n")
        command = ["nsenter", f"--net=/proc/{engine.namespace_pid}/ns/net", "curl", "-s", f"http://{host}/seen"]
        seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [said.status for said in ended] == [0] * 8, ended[0].err
    assert sum("GET" in line and "/manifests/" in line for line in seen) <= 2, seen
    engine.call("DELETE", f"/images/{host}/app:v1?force=1")
