"""Inspect and list, field by field, against what Docker 28.5 answered. `--reference` checks the record against the reference itself."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.http.address import parse_address
from corten.http.client import Client
from tests.integration.golden_cases import CASES
from tests.integration.masking import differences, masked
from tests.support.daemon import IMAGE, Called, Daemon, call
from tests.support.images import busybox_tar

RECORD = Path(__file__).parent / "golden" / "containers.json"
REFERENCE_IMAGE = "corten-e-golden:latest"
Call = Callable[..., Called]


def observed(ask: Call, name: str, image: str, body: dict[str, Any]) -> dict[str, Any]:
    """A container's answers as it goes from created to running to exited."""
    ask("POST", f"/containers/create?name={name}", {**body, "Image": image}).ok()
    try:
        found = {"created": ask("GET", f"/containers/{name}/json").ok()}
        ask("POST", f"/containers/{name}/start").ok()
        found["running"] = ask("GET", f"/containers/{name}/json").ok()
        (found["listed"],) = ask("GET", f"/containers/json?filters=%7B%22name%22%3A%5B%22{name}%22%5D%7D").ok()
        ask("POST", f"/containers/{name}/kill").ok()
        ask("POST", f"/containers/{name}/wait").ok()
        found["exited"] = ask("GET", f"/containers/{name}/json").ok()
    finally:
        ask("DELETE", f"/containers/{name}?force=1")
    return neutral(masked(found), image)


def neutral(value: Any, image: str) -> dict[str, Any]:
    """Without what depends on the host's cgroup version, on the moment, or on the image's name."""
    text = json.dumps(value).replace(image, "IMAGE")
    found: dict[str, Any] = json.loads(text)
    for state in found.values():
        state["Status"] = "<status>" if "Names" in state else state.get("Status")
        host = state["HostConfig"]
        for varying in ("CgroupnsMode", "OomKillDisable"):
            host.pop(varying, None)
        if state.get("Config", {}).get("Hostname") == os.uname().nodename:
            state["Config"]["Hostname"] = "<host>"
        state.pop("Names", None)
    return found


def without_our_ways(found: dict[str, Any]) -> dict[str, Any]:
    """What differs from Docker on purpose, checked here: /dev/shm is bounded by memory, and an end has its reason."""
    assert found["exited"].pop("Corten")["ExitReason"]["Reason"] == "killed"
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 & ~4095
    for state in ("created", "running", "exited"):
        host = found[state]["HostConfig"]
        if host["ShmSize"] in (half, host["Memory"] // 2 & ~4095):
            host["ShmSize"] = 64 << 20
    return found


@pytest.fixture
def reference(reference_host: str) -> Iterator[Call]:
    def ask(method: str, target: str, body: Any = None) -> Called:
        return call(Client(parse_address(reference_host), timeout=60), method, target, body)

    ask("POST", "/images/create?fromSrc=-&repo=corten-e-golden&tag=latest&changes=CMD%20%5B%22sh%22%5D", busybox_tar()).ok()
    yield ask
    ask("DELETE", f"/images/{REFERENCE_IMAGE}")


@pytest.mark.privileged
@pytest.mark.parametrize("case", CASES)
def test_as_docker_answers(engine: Daemon, name: str, case: str) -> None:
    found = without_our_ways(observed(engine.call, name, IMAGE, CASES[case]))
    assert not (lines := differences(found, json.loads(RECORD.read_text())[case])), "\n".join(lines)


@pytest.mark.privileged
def test_the_record_is_what_the_reference_answers(reference: Call) -> None:
    """Written anew with CORTEN_RECORD=1."""
    found = {case: observed(reference, f"corten-e-golden-{case}", REFERENCE_IMAGE, body) for case, body in CASES.items()}
    if os.environ.get("CORTEN_RECORD"):
        RECORD.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert differences(found, json.loads(RECORD.read_text())) == []
