"""Hostile volumes: names, sub-paths, and directories that become links at the very moment of a mount or a copy. Nothing leaves the root."""

import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corten.kernel.rename import exchange
from tests.support.daemon import Daemon
from tests.support.images import add

pytestmark = pytest.mark.privileged
TRIES = 25
BAD_NAMES = ("..", ".", "a/b", "../x", "/x", "-x", "a\0b", "a b", "ä", "a\n", "x" * 300, ".hidden", "_data", "a;b", "$(x)")


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_a_hostile_name_makes_nothing(engine: Daemon, bad: str) -> None:
    before = {path.name for path in (engine.data_root / "volumes").iterdir()}
    refused = engine.call("POST", "/volumes/create", {"Name": bad})
    assert refused.status == 400, refused.body
    assert {path.name for path in (engine.data_root / "volumes").iterdir()} == before
    for method in ("GET", "DELETE"):
        assert engine.call(method, f"/volumes/{'%2e%2e%2f' * 3}etc").status in (301, 400, 404)  # 301: the path without its dots


@contextmanager
def swapping(here: Path, there: Path) -> Iterator[None]:
    """The two change places all the time, each always there."""
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            exchange(str(here), str(there))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory of the host's that no container may see or change."""
    folder = tmp_path / "secret"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "key").write_text("hidden")
    return folder


@pytest.fixture
def hostile(engine: Daemon, name: str, secret: Path) -> Iterator[tuple[str, Path]]:
    """A volume with a directory `d` and a link `l` to the host's secret, and its directory on the host."""
    engine.call("POST", "/volumes/create", {"Name": name}).ok()
    data = engine.data_root / "volumes" / name / "_data"
    (data / "d" / "sub").mkdir(parents=True)
    (data / "d" / "sub" / "plain").write_text("mine")
    (data / "l").symlink_to(secret)
    yield name, data
    engine.call("DELETE", f"/volumes/{name}?force=1").ok()


def untouched(secret: Path) -> bool:
    return [str(p.relative_to(secret)) for p in sorted(secret.rglob("*"))] == ["sub", "sub/key"] and (
        secret / "sub" / "key"
    ).read_text() == "hidden"


def run(engine: Daemon, host: dict[str, object], *command: str) -> tuple[int, str]:
    """Exit code and output; -1 and the message when it did not start."""
    made = engine.call("POST", "/containers/create", {"Image": "busybox", "Cmd": command, "HostConfig": {"NetworkMode": "none", **host}})
    if made.status >= 300:
        return -1, made.body.decode()
    container = made.json()["Id"]
    try:
        started = engine.call("POST", f"/containers/{container}/start")
        if started.status >= 300:
            return -1, started.body.decode()
        code = engine.call("POST", f"/containers/{container}/wait").ok()["StatusCode"]
        return code, engine.call("GET", f"/containers/{container}/logs?stdout=1&stderr=1").body.decode(errors="replace")
    finally:
        engine.call("DELETE", f"/containers/{container}?force=1").ok()


def test_a_sub_path_that_is_swapped_for_a_link_stays_in_the_volume(engine: Daemon, hostile: tuple[str, Path], secret: Path) -> None:
    volume, data = hostile
    part = {"Type": "volume", "Source": volume, "Target": "/p", "VolumeOptions": {"Subpath": "d/sub"}}
    seen = set()
    with swapping(data / "d", data / "l"):
        for _ in range(TRIES):
            code, said = run(engine, {"Mounts": [part]}, "sh", "-c", "ls /p; touch /p/mark; cat /p/key")
            assert "hidden" not in said
            seen.add(code)
    assert untouched(secret)
    assert len(seen) > 1, "it was never swapped in time"


def test_a_mount_point_inside_a_volume_that_is_swapped_is_not_made_on_the_host(
    engine: Daemon, hostile: tuple[str, Path], secret: Path, tmp_path: Path
) -> None:
    volume, data = hostile
    other = tmp_path / "other"
    other.mkdir()
    with swapping(data / "d", data / "l"):
        for number in range(TRIES):
            binds = [f"{volume}:/v", f"{other}:/v/d/new{number}"]
            run(engine, {"Binds": binds}, "sh", "-c", f"touch /v/d/new{number}/mark; ls -R /v")
    assert untouched(secret)


def test_copies_through_a_path_that_is_swapped_stay_in_the_container(engine: Daemon, hostile: tuple[str, Path], secret: Path) -> None:
    volume, data = hostile
    host = {"NetworkMode": "none", "Binds": [f"{volume}:/v"]}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "sub/planted", b"x")
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": host}
    container = engine.call("POST", "/containers/create", body).ok()["Id"]
    engine.call("POST", f"/containers/{container}/start").ok()
    try:
        with swapping(data / "d", data / "l"):
            for _ in range(TRIES):
                engine.call("PUT", f"/containers/{container}/archive?path=/v/d", buffer.getvalue())
                found = engine.call("GET", f"/containers/{container}/archive?path=/v/d/sub")
                assert b"hidden" not in found.body
                engine.call("HEAD", f"/containers/{container}/archive?path=/v/d/sub/key")
    finally:
        engine.call("DELETE", f"/containers/{container}?force=1").ok()
    assert untouched(secret)


def test_an_image_whose_volume_path_is_a_link_fills_from_the_image_alone(engine: Daemon, name: str, secret: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar, "out", kind=tarfile.SYMTYPE, link=str(secret))
        add(tar, "up", kind=tarfile.SYMTYPE, link=f"../../../../..{secret}")
    engine.call("POST", f"/images/create?fromSrc=-&repo={name}&tag=latest", buffer.getvalue()).ok()
    for path in ("/out/sub", "/up/sub"):
        body = {"Image": name, "Cmd": ["x"], "HostConfig": {"Binds": [f"{name}-fill:{path}"]}}
        made = engine.call("POST", "/containers/create", body)
        assert [*(engine.data_root / "volumes" / f"{name}-fill" / "_data").iterdir()] == []
        if made.status < 300:
            engine.call("DELETE", f"/containers/{made.json()['Id']}?force=1").ok()
        engine.call("DELETE", f"/volumes/{name}-fill").ok()
    engine.call("DELETE", f"/images/{name}?force=1").ok()
    assert untouched(secret)
