"""Each test of this folder runs on Corten and, with `--reference`, on a real Docker: what passes there is what clients expect here."""

import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from corten.http.address import parse_address
from corten.http.client import Client
from tests.support.daemon import IMAGE, Called, Daemon, call, run_name
from tests.support.images import busybox_tar

REFERENCE_IMAGE = "corten-dropin:latest"


class Peer:
    """An engine under test. `name` belongs to the running test: what bears it, or begins with it, is removed at its end."""

    def __init__(self, kind: str, host: str, image: str, name: str) -> None:
        self.kind = kind
        self.host = host
        self.image = image
        self.name = name

    def call(self, method: str, target: str, body: Any = None) -> Called:
        return call(Client(parse_address(self.host), timeout=60), method, target, body)

    def create(self, name: str = "", **body: Any) -> str:
        """A container that sleeps, unless `Cmd` says otherwise; returns its id."""
        whole = {"Image": self.image, "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", **body}
        identity: str = self.call("POST", f"/containers/create?name={name or self.name}", whole).ok()["Id"]
        return identity

    def run(self, name: str = "", **body: Any) -> str:
        identity = self.create(name, **body)
        self.call("POST", f"/containers/{identity}/start").ok()
        return identity

    def inspect(self, ref: str = "") -> Any:
        return self.call("GET", f"/containers/{ref or self.name}/json").ok()

    def events(self, since: float, **filters: list[str]) -> list[dict[str, Any]]:
        """Those of this test's containers since that moment, as far as they have happened."""
        wanted = urllib.parse.quote(json.dumps({"container": [self.name], **filters}))
        body = self.call("GET", f"/events?since={since:.9f}&until={time.time():.9f}&filters={wanted}").body
        return [json.loads(line) for line in body.decode().splitlines()]

    def tidy(self) -> None:
        filters = urllib.parse.quote(json.dumps({"name": [f"^/?{self.name}"]}))
        for container in self.call("GET", f"/containers/json?all=1&filters={filters}").ok():
            self.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for network in self.call("GET", f"/networks?filters={filters}").ok():
            self.call("DELETE", f"/networks/{network['Id']}")
        for volume in self.call("GET", f"/volumes?filters={filters}").ok()["Volumes"] or []:
            self.call("DELETE", f"/volumes/{volume['Name']}?force=1")
        for image in self.call("GET", "/images/json").ok():
            for tag in image["RepoTags"] or []:
                if tag.startswith(self.name):
                    self.call("DELETE", f"/images/{tag}?force=1")


def eventually(wanted: Callable[[], Any], patience: float = 20.0) -> Any:
    """The first value of `wanted` that is true."""
    deadline = time.monotonic() + patience
    while not (found := wanted()):
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def reference_image(reference_host: str) -> Iterator[str]:
    client = parse_address(reference_host)
    changes = urllib.parse.quote('CMD ["sh"]')
    target = f"/images/create?fromSrc=-&repo=corten-dropin&tag=latest&changes={changes}"
    call(Client(client, timeout=60), "POST", target, busybox_tar()).ok()
    yield REFERENCE_IMAGE
    call(Client(client, timeout=60), "DELETE", f"/images/{REFERENCE_IMAGE}?force=1")


@pytest.fixture(params=["docker", "corten"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    name = run_name(request.node.nodeid)
    if request.param == "docker":
        host = request.getfixturevalue("reference_host")
        peer = Peer("docker", host, request.getfixturevalue("reference_image"), name)
    else:
        engine: Daemon = request.getfixturevalue("engine")
        peer = Peer("corten", engine.host, IMAGE, name)
    yield peer
    peer.tidy()
