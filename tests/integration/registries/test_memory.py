"""What a pull takes of the daemon's memory does not grow with the image, and equal layers are unpacked side by side."""

import json
import os
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.faulty_registry import Registry
from tests.support.remote_images import add_image, layer_tar

pytestmark = pytest.mark.privileged
MIB = 1 << 20
SMALL, LARGE = 64 * MIB, 512 * MIB
MOST = 100 * MIB
"""Of the daemon at any time in a pull, however large."""


def peak_of_pull(daemon: Daemon, registry: Registry, tag: str) -> int:
    """The daemon's largest resident memory while it pulls, in bytes."""
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # proc(5): VmHWM begins anew
    answer = daemon.call("POST", f"/images/create?fromImage={registry.host}/x&tag={tag}").body
    assert b"Status: Downloaded newer image" in answer, answer[-300:]
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def add_random(registry: Registry, tag: str, size: int) -> None:
    """One image of four layers that do not compress."""
    layers = [layer_tar({f"{tag}{n}": os.urandom(size // 4)}) for n in range(4)]
    add_image(registry, layers, tag, packing="")


def test_eight_times_as_large_an_image_takes_no_more_memory(daemon: Daemon, registry: Registry) -> None:
    for tag, size in (("first", 4 * MIB), ("small", SMALL), ("large", LARGE)):
        add_random(registry, tag, size)
    peak_of_pull(daemon, registry, "first")  # what every first pull loads stays
    small = peak_of_pull(daemon, registry, "small")
    large = peak_of_pull(daemon, registry, "large")
    assert large < MOST
    assert large - small < 16 * MIB, f"{small / MIB:.0f} MiB for {SMALL // MIB} MiB, {large / MIB:.0f} MiB for {LARGE // MIB} MiB"


def test_eight_equal_layers_are_unpacked_side_by_side(daemon: Daemon, registry: Registry) -> None:
    """As many at a time as there are processors (two at least): told by the order of their progress, not by time."""
    layers = [layer_tar({f"{n}/{k}": os.urandom(300) * 100 for k in range(1500)}) for n in range(8)]
    add_image(registry, layers, "eight")
    answer = daemon.call("POST", f"/images/create?fromImage={registry.host}/x&tag=eight").body
    lines = [json.loads(line) for line in answer.splitlines()]
    moments: dict[str, list[int]] = {}
    for at, line in enumerate(lines):
        if line["status"] in ("Extracting", "Pull complete"):
            moments.setdefault(line["id"], []).append(at)
    assert len(moments) == 8
    spans = [(seen[0], seen[-1]) for seen in moments.values()]
    most = max(sum(first <= at <= last for first, last in spans) for at in range(len(lines)))
    assert most >= min(8, max(2, os.cpu_count() or 1)), spans
