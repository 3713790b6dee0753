"""When built images and their files were made, by BuildKit's face and the classic one: what make, rsync, caches and prune go by."""

import io
import json
import os
import shutil
import tarfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.build.building import corten
from tests.integration.dropin.conftest import Peer
from tests.support.clients import DockerCli, buildx_plugin
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
OLD = 1577934245
"""2020-01-02"""
EPOCH = 1600000000
STEPS = """
ENV A=1
COPY file /deep/er/file
COPY folder /folder
COPY folder /tmp
RUN echo x > /made; mkdir /made-folder; touch -d '2015-01-01 00:00:00' /old
WORKDIR /work/here
ADD files.tar /unpacked/
LABEL z=1
"""
Build = Callable[..., str]


@pytest.fixture
def context(peer: Peer, tmp_path: Path) -> Path:
    return filled(tmp_path / "context", peer.image)


def filled(folder: Path, image: str) -> Path:
    (folder / "folder/below").mkdir(parents=True)
    for name in ("file", "folder/one", "folder/below/two"):
        (folder / name).write_text(os.urandom(8).hex())
    with tarfile.open(folder / "files.tar", "w") as tar:
        entry = tarfile.TarInfo("packed")
        entry.mtime = OLD + 5
        tar.addfile(entry, io.BytesIO())
    (folder / "Dockerfile").write_text(f"FROM {image}\n# {os.urandom(8).hex()}\nARG UNIQUE={os.urandom(8).hex()}{STEPS}")
    for path in (*folder.rglob("*"), folder / "folder"):
        os.utime(path, (OLD, OLD))
    return folder


@pytest.fixture(params=["buildx", "classic"])
def build(request: pytest.FixtureRequest, peer: Peer, context: Path, tmp_path: Path) -> Build:
    """Builds the context, as `{peer.name}:{tag}`: the image's id."""
    home = tmp_path / "home"
    (home / "cli-plugins").mkdir(parents=True)
    shutil.copy(buildx_plugin(), home / "cli-plugins/docker-buildx")
    cli = DockerCli(peer.host, home)

    def buildx(*words: str, tag: str = "one") -> str:
        return cli("build", "-q", "--no-cache-filter", "never", "-t", f"{peer.name}:{tag}", *words, str(context), check=True).stdout.strip()

    def classic(*words: str, tag: str = "one") -> str:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(context, ".")
        given = json.dumps(dict(word.split("=") for word in words if "=" in word))
        said = peer.call("POST", f"/build?t={peer.name}:{tag}&buildargs={urllib.parse.quote(given)}", buffer.getvalue())
        assert b'"error"' not in said.body, said.body.decode()
        identity: str = peer.call("GET", f"/images/{peer.name}:{tag}/json").ok()["Id"]
        return identity

    return buildx if request.param == "buildx" else classic


def times(peer: Peer, tag: str = "one") -> dict[str, int]:
    """Of the image's files, in seconds."""
    paths = "/deep /deep/er/file /folder /folder/one /folder/below /folder/below/two /tmp/one /tmp/below /made /made-folder /old"
    paths += " /work/here /unpacked/packed"
    peer.run(f"{peer.name}-looks", Image=f"{peer.name}:{tag}", Cmd=["sh", "-c", f"stat -c '%n %Y' {paths}; sleep 600"])
    made = peer.call(
        "POST", f"/containers/{peer.name}-looks/exec", {"Cmd": ["sh", "-c", f"stat -c '%n %Y' {paths}"], "AttachStdout": True, "Tty": True}
    )
    said = peer.call("POST", f"/exec/{made.ok()['Id']}/start", {"Tty": True}).body.decode()
    peer.call("DELETE", f"/containers/{peer.name}-looks?force=1").ok()
    return {name: int(moment) for name, moment in (line.split() for line in said.splitlines())}


def created(peer: Peer, tag: str = "one") -> float:
    return moment(peer.call("GET", f"/images/{peer.name}:{tag}/json").ok()["Created"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_the_image_is_dated_now(peer: Peer, build: Build) -> None:
    before = time.time() - 1
    build()
    assert before <= created(peer) <= time.time() + 1
    history = peer.call("GET", f"/images/{peer.name}:one/history").ok()
    assert all(before - 1 <= entry["Created"] <= time.time() + 1 for entry in history[:8])


def test_copied_files_keep_their_time_and_made_ones_get_theirs(peer: Peer, build: Build) -> None:
    before = int(time.time()) - 1
    build()
    found = times(peer)
    kept = {"/deep/er/file", "/folder/one", "/folder/below", "/folder/below/two", "/tmp/one", "/tmp/below"}
    assert {path for path, moment in found.items() if moment == OLD} - {"/folder"} == kept
    assert found["/old"] == 1420070400
    assert found["/unpacked/packed"] == OLD + 5
    now = {path: found[path] for path in ("/deep", "/made", "/made-folder", "/work/here")}
    assert all(moment >= before for moment in now.values()), now


def test_times_are_no_part_of_the_cache(peer: Peer, build: Build, context: Path) -> None:
    first = build()
    for path in context.rglob("*"):
        os.utime(path)
    assert build(tag="two") == first
    assert times(peer, "two")["/deep/er/file"] == OLD


def test_what_was_just_built_is_not_pruned_for_its_age(peer: Peer, build: Build) -> None:
    build()
    filters = urllib.parse.quote(json.dumps({"dangling": ["false"], "until": ["24h"], "label": ["z=1"]}))
    deleted = peer.call("POST", f"/images/prune?filters={filters}").ok()["ImagesDeleted"] or []
    assert all(entry.get("Untagged") != f"{peer.name}:one" for entry in deleted)
    assert peer.call("GET", f"/images/{peer.name}:one/json").status == 200


def test_filters_go_by_it(peer: Peer, build: Build) -> None:
    build()
    filters = urllib.parse.quote(json.dumps({"since": [peer.image]}))
    assert any(f"{peer.name}:one" in image["RepoTags"] for image in peer.call("GET", f"/images/json?filters={filters}").ok())


def test_an_image_without_files_of_its_own(engine: Daemon, name: str, tmp_path: Path) -> None:
    """Its date is that of its first build, and it stays one image."""
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nLABEL unique={name}\n")
    before = time.time() - 1
    found = []
    for tag in ("one", "two"):
        assert corten(engine.host, "build", "-q", "-t", f"{name}:{tag}", str(tmp_path)).status == 0
        found.append(engine.call("GET", f"/images/{name}:{tag}/json").ok())
        engine.call("DELETE", f"/images/{name}:{tag}")
    assert found[0]["Id"] == found[1]["Id"]
    assert before <= moment(found[0]["Created"]) <= time.time()


class TestReproducible:
    """Corten alone: every file and the image have one time."""

    @pytest.fixture
    def context(self, tmp_path: Path) -> Path:
        return filled(tmp_path / "context", IMAGE)

    @pytest.fixture
    def peer(self, engine: Daemon, name: str) -> Iterator[Peer]:
        peer = Peer("corten", engine.host, IMAGE, name)
        yield peer
        peer.tidy()

    def build(self, peer: Peer, context: Path, *words: str) -> None:
        said = corten(peer.host, "build", "-q", "-t", f"{peer.name}:one", *words, str(context))
        assert said.status == 0, said.err

    @pytest.mark.parametrize("how", ["argument", "environment"])
    def test_source_date_epoch(self, peer: Peer, context: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if how == "environment":
            monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
        self.build(peer, context, *(["--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}"] if how == "argument" else []))
        self.check(peer, EPOCH)

    @pytest.mark.parametrize("words", [["--reproducible"], ["--output", "type=image,rewrite-timestamp=true"]])
    def test_by_flag_it_is_the_base_images_time(self, peer: Peer, context: Path, words: list[str]) -> None:
        self.build(peer, context, *words)
        base = peer.call("GET", f"/images/{IMAGE}/json").ok()["Created"]
        self.check(peer, int(moment(base)))

    def test_the_two_kinds_share_no_layers(self, peer: Peer, context: Path) -> None:
        self.build(peer, context)
        self.build(peer, context, "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}")
        self.check(peer, EPOCH)
        self.build(peer, context)
        assert times(peer)["/deep/er/file"] == OLD
        assert created(peer) > time.time() - 300

    def test_for_every_build(self, daemon: Daemon, context: Path, name: str) -> None:
        """daemon.json: {"builder": {"reproducible": true}}."""
        daemon.stop()
        file = daemon.root / "daemon.json"
        file.write_text(json.dumps({"builder": {"reproducible": True}}))
        daemon.flags = ("--config-file", str(file))
        daemon.start()
        peer = Peer("corten", daemon.host, IMAGE, name)
        self.build(peer, context)
        self.check(peer, int(moment(peer.call("GET", f"/images/{IMAGE}/json").ok()["Created"])))

    def test_times_of_an_output_are_kept_only_where_they_are(self, peer: Peer, context: Path) -> None:
        words = ["--reproducible", "--output", "type=image,rewrite-timestamp=false"]
        said = corten(peer.host, "build", "-q", "-t", f"{peer.name}:one", *words, str(context))
        assert said.status == 1
        assert "rewrite-timestamp=false is not supported here" in said.err
        self.build(peer, context, "--output", "type=image,rewrite-timestamp=false")

    def check(self, peer: Peer, epoch: int) -> None:
        assert created(peer) == epoch
        found = times(peer)
        assert {path: moment for path, moment in found.items() if moment not in (epoch, 1420070400, OLD + 5)} == {}
        assert found["/deep/er/file"] == epoch
