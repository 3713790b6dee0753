"""A build that is not wanted any more: by `POST /build/cancel`, or because its client went away."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable

import pytest

from tests.integration.build.building import import_base
from tests.support.daemon import Called, Daemon
from tests.support.processes import SLEEP, sleeping

pytestmark = pytest.mark.privileged


def context() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        text = f"FROM corpus/base\nRUN sleep {SLEEP}\n".encode()
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_by_its_id(engine: Daemon, name: str) -> None:
    import_base(engine)
    found: list[Called] = []
    building = threading.Thread(target=lambda: found.append(engine.call("POST", f"/build?t={name}&buildid={name}", context())))
    building.start()
    until(lambda: sleeping() != [])
    engine.call("POST", "/build/cancel?id=another").ok()
    assert sleeping() != []
    engine.call("POST", f"/build/cancel?id={name}").ok()
    building.join(20)
    assert json.loads(found[0].body.splitlines()[-1])["error"] == "context canceled"
    until(lambda: sleeping() == [])
    assert engine.call("GET", f"/images/{name}/json").status == 404


def test_as_docker_answers(engine: Daemon) -> None:
    refused = engine.call("POST", "/build/cancel")
    assert (refused.status, refused.json()["message"]) == (400, "build ID not provided")
    known = engine.call("POST", "/build/cancel?id=over")
    assert (known.status, known.body) == (200, b"")


def test_by_a_client_that_goes(engine: Daemon, name: str) -> None:
    import_base(engine)
    client = engine.client()
    body = context()
    answer = client.request("POST", f"/build?t={name}", headers=[("Content-Type", "application/x-tar")], body=body)
    assert answer.status == 200
    until(lambda: sleeping() != [])
    answer.close()
    until(lambda: sleeping() == [])
    assert engine.call("GET", f"/images/{name}/json").status == 404
