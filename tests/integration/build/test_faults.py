"""Builds through kills, full disks, prunes and each other: whole, nothing half-tagged, nothing left over, and the cache goes on."""

import io
import json
import os
import random
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from corten.errors import EngineError
from corten.store.opened import open_store
from tests.integration.test_store_faults import check_whole
from tests.support.clients import DockerCli
from tests.support.daemon import Daemon, import_busybox, run_name
from tests.support.leaks import holdings, settled_holdings, wait_until_settled
from tests.support.processes import SLEEP, sleeping

pytestmark = pytest.mark.privileged
MIB = 1 << 20
ROOMY = 1e6
KILLS = 20
SEED = int(os.environ.get("TEST_SEED", "3"))
DISK = 300 * MIB
TAG = "built:latest"


def context(dockerfile: str, *, files: int = 0, size: int = 40_000) -> bytes:
    made = random.Random(5)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        contents = {"Dockerfile": dockerfile.encode(), **{f"data/{n}": made.randbytes(size) for n in range(files)}}
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def build(daemon: Daemon, body: bytes, tag: str = TAG) -> dict[str, Any]:
    """The last line of the stream, or {"error": …} with the answer's message."""
    answer = daemon.call("POST", f"/build?t={tag}", body)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    return lines[-1] if answer.status == 200 else {"error": lines[-1]["message"]}


def is_tagged(daemon: Daemon, tag: str = TAG) -> bool:
    return daemon.call("GET", f"/images/{tag}/json").status == 200


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_kills_at_any_moment_leave_a_whole_engine(daemon: Daemon) -> None:
    """Two builds of the same at once: while the context comes, in a COPY, in a RUN with mounts. A seed chooses the moments."""
    mounts = "--mount=type=cache,id=kept,target=/kept --mount=target=/context --mount=from=warm,target=/warm,rw"
    steps = (
        "COPY data /data\nRUN cat /data/* > /all && sleep 0.1\n"
        f"RUN {mounts} for i in 1 2 3 4 5; do cp /all /copy$i; cp /all /kept/$i; cp /all /warm/$i; done; ls /context/data | wc -l > /n\n"
        "ADD data /again\nWORKDIR /new\nCOPY --from=warm /bin /tools\n"
    )
    build(daemon, context("FROM busybox\nRUN echo warm\n"), "warm")
    before = settled_holdings(daemon)
    print(f"TEST_SEED={SEED}")
    moments = random.Random(SEED)
    for number in range(KILLS):
        body = context(f"FROM busybox\nENV ROUND={number}\n{steps}", files=200)
        ends: dict[str, bool] = {}
        building = [threading.Thread(target=attempt, args=(daemon, body, ends, tag)) for tag in ("built:one", "built:two")]
        for thread in building:
            thread.start()
            time.sleep(moments.uniform(0.0, 0.1))
        time.sleep(moments.uniform(0.0, 0.9))
        daemon.kill()
        for thread in building:
            thread.join(30)
        daemon.start()
        assert {tag: is_tagged(daemon, tag) for tag in ends} == ends, "a tag is there exactly when the client was told so"
        for tag in ends:
            daemon.call("DELETE", f"/images/{tag}?force=1")
    body = context(f"FROM busybox\n{steps}", files=200)
    assert build(daemon, body) == {"stream": f"Successfully tagged {TAG}\n"}
    assert "Using cache" in daemon.call("POST", f"/build?t={TAG}", body).body.decode()
    gained = wait_until_settled(daemon, before)
    gained["descriptors"] = [text for text in gained.get("descriptors", []) if "corten.db" not in text]
    assert {kind: texts for kind, texts in gained.items() if texts} == {}
    assert not any((daemon.data_root / "tmp/build").glob("*"))
    assert_whole(daemon)


def test_a_kill_leaves_no_secret_and_no_mount_of_a_step(daemon: Daemon, tmp_path: Path) -> None:
    """Killed while a RUN has a secret, a stage, a writable context and an agent: the next start clears all of it."""
    agent = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(agent))
        listening.listen()
        mounts = "--mount=from=below,target=/below --mount=target=/all,rw --mount=type=secret,id=word --mount=type=ssh"
        text = f"FROM busybox AS below\nRUN echo b > /b\nFROM busybox\nRUN {mounts} cat /run/secrets/word > /dev/null; sleep {SLEEP}\n"
        folder = tmp_path / "context"
        folder.mkdir()
        (folder / "Dockerfile").write_text(text)
        (tmp_path / "word").write_text("sesame-8812")
        words = ["-m", "corten.cli.main", "build", "--secret", f"id=word,src={tmp_path}/word", "--ssh", f"default={agent}", str(folder)]
        environment = {**os.environ, "DOCKER_HOST": daemon.host, "PYTHONPATH": ":".join(sys.path)}
        before = holdings(daemon)
        with subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            until(lambda: sleeping() != [])
            assert secrets_left() != []
            daemon.kill()
            client.wait(30)
        daemon.start()
    assert secrets_left() == []
    gained = wait_until_settled(daemon, before)
    assert "mounts" not in gained, gained
    until(lambda: sleeping() == [])
    assert not any((daemon.data_root / "tmp" / "build").glob("*"))
    assert_whole(daemon)


def test_a_kill_leaves_nothing_of_a_scanner(daemon: Daemon, tmp_path: Path) -> None:
    build(daemon, context(f"FROM busybox\nENTRYPOINT sleep {SLEEP}\n"), "scanner")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo x > /x\n")
    words = ["-m", "corten.cli.main", "build", "--sbom=generator=scanner", str(tmp_path)]
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "PYTHONPATH": ":".join(sys.path)}
    before, folders = holdings(daemon), set(Path(tempfile.gettempdir()).glob("corten-*"))
    with subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        until(lambda: sleeping() != [])
        daemon.kill()
        client.wait(30)
    daemon.start()
    gained = wait_until_settled(daemon, before)
    assert "mounts" not in gained, gained
    until(lambda: sleeping() == [])
    assert set(Path(tempfile.gettempdir()).glob("corten-*")) <= folders
    assert_whole(daemon)


def secrets_left() -> list[str]:
    found = subprocess.run(["grep", "-rlF", "sesame-8812", "/dev/shm"], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


def attempt(daemon: Daemon, body: bytes, ends: dict[str, bool], tag: str) -> None:
    try:
        ends[tag] = "Successfully tagged" in build(daemon, body, tag).get("stream", "")
    except (OSError, EngineError, ValueError, IndexError):  # whatever a killed server leaves of an answer
        ends[tag] = False


def assert_whole(daemon: Daemon) -> None:
    daemon.call("POST", "/corten/trash/empty", {})
    daemon.stop()
    store = open_store(str(daemon.data_root))
    try:
        check_whole(store)
    finally:
        store.close()
    daemon.start()


@pytest.fixture
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on a disk of its own."""
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    daemon = Daemon(run_name(request.node.nodeid))
    daemon.data_root = disk / "data"
    try:
        daemon.start()
        import_busybox(daemon)
        yield daemon
    finally:
        daemon.remove()
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("steps", "files", "said"),
    [
        ("RUN head -c 400000000 /dev/zero > /big", 0, "returned a non-zero code"),
        ("COPY --chown=1:1 data /a\nCOPY --chown=2:2 data /b\nCOPY --chown=3:3 data /c", 20, "no space left on device"),
        ("COPY data /a", 90, "no space left on device"),
    ],
    ids=["run", "copy", "context"],
)
def test_a_disk_that_fills_up_is_told_and_gives_its_room_back(small: Daemon, tmp_path: Path, steps: str, files: int, said: str) -> None:
    """By the stock CLI, which goes on sending while the answer comes."""
    first = "FROM busybox\nRUN echo one > /one\n"
    assert "error" not in build(small, context(first), "first")
    folder = tmp_path / "context"
    with tarfile.open(fileobj=io.BytesIO(context(f"{first}{steps}\n", files=files, size=4 * MIB))) as tar:
        tar.extractall(folder, filter="data")
    ended = DockerCli(small.host, tmp_path)("build", "-t", TAG, str(folder), timeout=120)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert not is_tagged(small)
    again = small.call("POST", f"/build?t={TAG}", context(f"{first}RUN echo two > /two\n"))
    assert f"Successfully tagged {TAG}" in again.body.decode()
    assert "Using cache" in again.body.decode()


def test_disks_of_any_room_are_told_and_given_back(small: Daemon) -> None:
    """So much is left that the build ends in its context, in a COPY, in a RUN, in the record of a layer, or goes well."""
    steps = "COPY --chown=1:1 data /a\nRUN cat /a/* > /all; cp -r /a /b\nWORKDIR /c\nCOPY --chown=2:2 data /d\n"
    print(f"TEST_SEED={SEED}")
    rooms = random.Random(SEED)
    filler = small.data_root.parent / "filler"
    ended = set()
    for number, room in enumerate((2.0, ROOMY, *(rooms.uniform(2, 110) for _ in range(8)))):
        free = os.statvfs(small.data_root)
        filler.unlink(missing_ok=True)
        filler.write_bytes(b"")
        free = os.statvfs(small.data_root)
        os.posix_fallocate(fd := os.open(filler, os.O_WRONLY), 0, max(1, free.f_bavail * free.f_frsize - int(room * MIB)))
        os.close(fd)
        end = build(small, context(f"FROM busybox\nENV N={number}\n{steps}", files=10, size=2 * MIB))
        is_good = end == {"stream": f"Successfully tagged {TAG}\n"}
        assert is_good or "no space left" in str(end["error"]).lower() or "non-zero code" in end["error"], end
        assert is_tagged(small) is is_good
        ended.add(is_good)
        filler.unlink()
        small.call("DELETE", f"/images/{TAG}?force=1")
        small.call("POST", "/build/prune?all=1").ok()
        small.call("POST", "/corten/trash/empty", {}).ok()
    assert ended == {True, False}
    assert build(small, context(f"FROM busybox\n{steps}", files=10, size=2 * MIB)) == {"stream": f"Successfully tagged {TAG}\n"}
    assert_whole(small)


def test_the_same_build_many_times_at_once_makes_one_image(engine: Daemon) -> None:
    body = context("FROM busybox\nCOPY data /data\nRUN cat /data/* | sha256sum > /sum; sleep 0.5\nCOPY data /again\n", files=50)
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda n: build(engine, body, f"same:{n}"), range(4)))
    assert [end.get("stream") for end in ends] == [f"Successfully tagged same:{n}\n" for n in range(4)]
    assert len({engine.call("GET", f"/images/same:{n}/json").json()["Id"] for n in range(4)}) == 1
    for n in range(4):
        engine.call("DELETE", f"/images/same:{n}?force=1")


def test_a_layer_may_come_twice(engine: Daemon) -> None:
    """Two steps that do the same make one layer, which overlayfs takes once."""
    steps = "RUN echo a > /a\nRUN rm /a\nRUN echo  a  >  /a\nRUN cat /a && echo b > /b\nRUN echo b  > /b\n"
    assert build(engine, context(f"FROM busybox\n{steps}"), "twice:1") == {"stream": "Successfully tagged twice:1\n"}
    layers = engine.call("GET", "/images/twice:1/json").json()["RootFS"]["Layers"]
    assert len(layers) > len(set(layers))
    made = engine.call("POST", "/containers/create", {"Image": "twice:1", "Cmd": ["cat", "/a", "/b"]}).ok()
    engine.call("POST", f"/containers/{made['Id']}/start", {}).ok()
    assert engine.call("POST", f"/containers/{made['Id']}/wait", {}).ok()["StatusCode"] == 0
    engine.call("DELETE", f"/containers/{made['Id']}?force=1", {})
    engine.call("DELETE", "/images/twice:1?force=1")


def test_prunes_take_nothing_from_a_build(daemon: Daemon) -> None:
    """The step before, its base image (which loses its name meanwhile) and its caches stay until the build is over."""
    dockerfile = (
        "FROM busybox AS below\nRUN echo below > /below\n"
        "FROM below\nCOPY data /data\n"
        "RUN --mount=type=cache,target=/k touch /k/seen && sleep 3 && cat /below && ls /k/seen\n"
    )
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build, daemon, context(dockerfile, files=5))
        until(lambda: any((daemon.data_root / "build").rglob("seen")))
        (cache,) = daemon.call("GET", "/corten/caches").json()
        assert daemon.call("DELETE", f"/corten/caches?id={cache['ID']}").status == 409
        daemon.call("DELETE", "/images/busybox?force=1")
        filters = json.dumps({"dangling": ["false"]})
        for target in ("/build/prune?all=1", f"/images/prune?filters={filters}", "/containers/prune", "/volumes/prune", "/networks/prune"):
            daemon.call("POST", target.replace('"', "%22").replace(" ", "%20"), {}).ok()
        daemon.call("POST", "/corten/trash/empty", {})
        ended = building.result(30)
    assert ended == {"stream": f"Successfully tagged {TAG}\n"}
    made = daemon.call("POST", "/containers/create?name=made", {"Image": TAG, "Cmd": ["cat", "/below", "/data/0"]}).ok()
    daemon.call("POST", f"/containers/{made['Id']}/start", {}).ok()
    assert daemon.call("POST", f"/containers/{made['Id']}/wait", {}).ok()["StatusCode"] == 0
    daemon.call("DELETE", f"/containers/{made['Id']}?force=1", {})
    assert_whole(daemon)


def test_a_base_that_is_removed_while_its_layers_wait(daemon: Daemon) -> None:
    """Nothing of the base is in use at that moment: one stage waits for another."""
    dockerfile = "FROM busybox AS slow\nRUN sleep 3; echo s > /s\nFROM base\nCOPY --from=slow /s /s\nRUN cat /b /s\n"
    build(daemon, context("FROM busybox\nRUN echo b > /b\n"), "base")
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(build, daemon, context(dockerfile))
        time.sleep(1)
        daemon.call("DELETE", "/images/base?force=1").ok()
        daemon.call("POST", "/build/prune?all=1", {}).ok()
        daemon.call("POST", "/corten/trash/empty", {}).ok()
        ended = building.result(30)
    assert ended == {"stream": f"Successfully tagged {TAG}\n"}
    assert_whole(daemon)


@pytest.mark.parametrize("step", [f"RUN sleep {SLEEP}", f"COPY data /data\nRUN sleep {SLEEP}"], ids=["RUN", "COPY and RUN"])
def test_a_restart_ends_builds_and_the_next_goes_on(daemon: Daemon, step: str) -> None:
    """An orderly end: the client is told, the step is gone, what was done is cached."""
    before = holdings(daemon)
    body = context(f"FROM busybox\nRUN echo one > /one\n{step}\n", files=20)
    ends: dict[str, bool] = {}
    building = threading.Thread(target=attempt, args=(daemon, body, ends, TAG))
    building.start()
    until(lambda: sleeping() != [])
    daemon.stop()
    building.join(30)
    daemon.start()
    assert ends == {TAG: is_tagged(daemon)} == {TAG: False}
    assert sleeping() == []
    again = daemon.call("POST", f"/build?t={TAG}", context(f"FROM busybox\nRUN echo one > /one\n{step.partition('RUN')[0]}", files=20))
    assert "Using cache" in again.body.decode()
    assert "mounts" not in wait_until_settled(daemon, before)
    assert_whole(daemon)
