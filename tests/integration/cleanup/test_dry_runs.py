"""What `--dry-run` lists is what the real prune then removes, and what is protected survives both: on objects made up at random."""

import io
import json
import os
import random
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.images import add

pytestmark = pytest.mark.privileged
LABELS: tuple[dict[str, str], ...] = ({}, {}, {"keep": "1"}, {"corten.protected": "1"}, {"corten.protected": "0"})
PRUNES = (
    ("container", "prune"),
    ("network", "prune"),
    ("volume", "prune", "-a"),
    ("volume", "prune"),
    ("image", "prune", "-a"),
    ("image", "prune"),
    ("builder", "prune"),
    ("builder", "prune", "-a"),
    ("system", "prune"),
    ("system", "prune", "-a", "--volumes"),
)


@dataclass
class Landscape:
    """Objects of every kind on a daemon. `protected`: what must be there whatever is pruned."""

    daemon: Daemon
    moves: random.Random
    protected: set[tuple[str, str]] = field(default_factory=set)
    networks: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    made: int = 0

    def grow(self) -> None:
        there = self.present()
        self.networks = [name for name in self.networks if ("network", name) in there]
        self.volumes = [name for name in self.volumes if ("volume", name) in there]
        for kind in (self._network, self._volume, self._image, self._container):
            for _ in range(self.moves.randrange(1, 4)):
                self.made += 1
                kind(self.moves.choice(LABELS))
        self._build()

    def present(self) -> set[tuple[str, str]]:
        call = self.daemon.call
        found = {("container", c["Id"]) for c in call("GET", "/containers/json?all=1").ok()}
        found |= {("network", n["Name"]) for n in call("GET", "/networks").ok()}
        found |= {("volume", v["Name"]) for v in call("GET", "/volumes").ok()["Volumes"] or ()}
        for image in call("GET", "/images/json?all=1").ok():
            found |= {("image", image["Id"]), *(("tag", tag) for tag in image["RepoTags"])}
        return found | {("cache", c["ID"]) for c in call("GET", "/system/df?type=build-cache").ok()["BuildCache"] or ()}

    def _note(self, kind: str, name: str, labels: dict[str, str]) -> None:
        if labels.get("corten.protected") == "1":
            self.protected.add((kind, name))

    def _network(self, labels: dict[str, str]) -> None:
        name = f"n{self.made}"
        self.daemon.call("POST", "/networks/create", {"Name": name, "Labels": labels}).ok()
        self.networks.append(name)
        self._note("network", name, labels)

    def _volume(self, labels: dict[str, str]) -> None:
        name = "" if self.moves.random() < 0.4 else f"v{self.made}"
        volume = self.daemon.call("POST", "/volumes/create", {"Name": name, "Labels": labels}).ok()
        (self.daemon.data_root / "volumes" / volume["Name"] / "_data" / "f").write_bytes(bytes(self.moves.randrange(5000)))
        if self.moves.random() < 0.2:
            self.daemon.call("POST", f"/corten/volumes/{volume['Name']}/protect").ok()
            labels = {"corten.protected": "1"}
        self.volumes.append(volume["Name"])
        self._note("volume", volume["Name"], labels)

    def _image(self, labels: dict[str, str]) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            add(tar, f"f{self.made}", self.moves.randbytes(2000))
        changes = "".join(f"&changes=LABEL%20{key}={value}" for key, value in labels.items())
        names = f"&repo=i{self.made}&tag=v1" if self.moves.random() < 0.7 else ""
        answer = self.daemon.call("POST", f"/images/create?fromSrc=-{names}{changes}", buffer.getvalue())
        assert answer.status == 200, answer.body
        image_id = json.loads(answer.body.splitlines()[-1])["status"]
        if names and self.moves.random() < 0.3:
            self.daemon.call("POST", f"/images/i{self.made}:v1/tag?repo=other{self.made}&tag=x").ok()
        self._note("image", image_id, labels)

    def _container(self, labels: dict[str, str]) -> None:
        call, pick = self.daemon.call, self.moves.choice
        images = [tag for i in call("GET", "/images/json").ok() for tag in i["RepoTags"]] or ["busybox"]
        host: dict[str, Any] = {"NetworkMode": pick(["none", *self.networks])}
        if self.volumes and self.moves.random() < 0.7:
            host["Binds"] = [f"{pick(self.volumes)}:/v"]
        runs = self.moves.random() < 0.4
        body = {"Image": "busybox" if runs else pick(images), "Cmd": ["sleep", "1000"], "Labels": labels, "HostConfig": host}
        made = call("POST", f"/containers/create?name=c{self.made}", body).ok()
        if runs:
            call("POST", f"/containers/{made['Id']}/start").ok()
        from_image = (call("GET", f"/images/{body['Image']}/json").ok()["Config"] or {}).get("Labels") or {}
        if from_image.get("corten.protected") != "1":  # a label that comes from the image protects the image alone
            self._note("container", made["Id"], labels)

    def _build(self) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            add(tar, "Dockerfile", f"FROM busybox\nRUN echo {self.made} > /f\nRUN --mount=type=cache,target=/c touch /c/x\n".encode())
        answer = self.daemon.call("POST", f"/build?t=built{self.made}", buffer.getvalue())
        assert b"Successfully built" in answer.body, answer.body


def corten(daemon: Daemon, *arguments: str) -> str:
    command = [sys.executable, "-m", "corten.cli.main", *arguments]
    environment = {**os.environ, "DOCKER_HOST": daemon.host, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_dry_run_lists_what_the_prune_removes_and_nothing_protected_goes(daemon: Daemon) -> None:
    moves = random.Random(7)
    land = Landscape(daemon, moves)
    for prune in (*PRUNES, *moves.sample(PRUNES, 4)):
        land.grow()
        filters = moves.choice((["--filter", "label!=keep"], [], [])) if prune[0] != "builder" else []
        before = land.present()
        assert land.protected <= before
        said = corten(daemon, *prune, *filters, "--dry-run")
        assert land.present() == before
        done = corten(daemon, *prune, *filters, "-f")
        assert done == said, prune
        after = land.present()
        assert after <= before
        assert land.protected <= after, land.protected - after
        for kind, name in before - after:
            assert name in said, (prune, kind, name)
        lines = set(said.splitlines())
        assert not [name for kind, name in after if kind in ("container", "volume", "network") and name in lines], prune


def test_every_kind_refuses_to_remove_what_is_protected(daemon: Daemon) -> None:
    land = Landscape(daemon, random.Random(1))
    protecting = {"corten.protected": "true"}
    land.made = 1
    land._network(protecting)
    land._volume(protecting)
    made = daemon.call("POST", "/containers/create?name=c1", {"Image": "busybox", "Cmd": ["true"], "Labels": protecting}).ok()["Id"]
    for target in (f"/containers/{made}?force=1", f"/volumes/{land.volumes[0]}?force=1", "/networks/n1"):
        refused = daemon.call("DELETE", target)
        assert refused.status == 409, (target, refused.body)
        assert "protected" in refused.json()["message"]
    assert corten(daemon, "rm", "--force-protected", "c1") == "c1\n"
    assert corten(daemon, "network", "rm", "--force-protected", "n1") == "n1\n"
    assert corten(daemon, "volume", "rm", "--force-protected", land.volumes[0]) == f"{land.volumes[0]}\n"
