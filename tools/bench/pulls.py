"""Pulls from a registry that all engines reach: BENCH_PULL names an image there, e.g. 127.0.0.1:5000/bench/ml:gzip."""

import hashlib
import io
import json
import os
import random
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.images import add
from tools.bench.account import Account
from tools.bench.engine import PREFIX, Engine
from tools.bench.measure import Goal, Row

ROUNDS = 3
LAYERS = 8
LAYER_FILES = 96
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
Accounts = Mapping[str, Account | None]


def pulls(engines: Sequence[Engine], accounts: Accounts) -> list[Row]:
    """The image of BENCH_PULL, and one of LAYERS equal layers that is put beside it."""
    name = os.environ.get("BENCH_PULL", "")
    if not name:
        print("  pulls: set BENCH_PULL to an image in a registry that every engine reaches")
        return []
    layered = f"{name.partition('/')[0]}/{PREFIX}layers"
    corten = next(engine for engine in engines if engine.name == "corten")
    _put(corten, layered)
    return [
        *_rows(f"cold pull of {name}, to a created container", Goal(0.22), name, engines, accounts),
        *_equal(layered, engines, accounts),
    ]


def _equal(name: str, engines: Sequence[Engine], accounts: Accounts) -> list[Row]:
    busy = Row(f"… share of the machine's {len(os.sched_getaffinity(0))} cores that was busy, registry and all", "")
    return [*_rows(f"cold pull of {LAYERS} equal layers", None, name, engines, accounts, busy=busy), busy]


def _rows(title: str, goal: Goal | None, name: str, engines: Sequence[Engine], accounts: Accounts, *, busy: Row | None = None) -> list[Row]:
    """Rounds of every engine in random order: medians of wall and CPU time, the highest memory of the daemon alone.

    podman pulls in a process that is not its service's: it has no CPU figure.
    """
    wall, cpu, peak = (
        Row(title, "ms", goal),
        Row("… CPU of the engine", "CPU ms"),
        Row("… daemon's highest memory (RSS)", "MB", Goal(100, "MB")),
    )
    taken: dict[str, list[tuple[float, float]]] = {engine.name: [] for engine in engines}
    for _ in range(ROUNDS):
        for engine in random.sample(list(engines), len(engines)):
            _forget(engine, name)
            Path(f"/proc/{engine.pid}/clear_refs").write_text("5")
            idle, all_ = _cpu_ticks()
            taken[engine.name].append(_once(engine, name, accounts[engine.name]))
            if busy is not None:
                later_idle, later_all = _cpu_ticks()
                share = 1 - (later_idle - idle) / (later_all - all_)
                busy.figures[engine.name] = max(busy.figures.get(engine.name, 0), share)
            peak.figures[engine.name] = max(peak.figures.get(engine.name, 0), _highest_memory(engine.pid))
    for engine in engines:
        wall.figures[engine.name] = statistics.median(ms for ms, _ in taken[engine.name])
        if engine.name != "podman":
            cpu.figures[engine.name] = statistics.median(ms for _, ms in taken[engine.name])
        _forget(engine, name)
    return [wall, cpu, peak] if all(accounts.values()) else [wall, peak]


def _once(engine: Engine, name: str, account: Account | None) -> tuple[float, float]:
    used = account.milliseconds() if account else 0
    began = time.perf_counter()
    engine.run("pull", "-q", name)
    engine.run("create", "--name", f"{PREFIX}pulled", "--network", "none", name, "true")
    wall = (time.perf_counter() - began) * 1e3
    return wall, account.milliseconds() - used if account else 0


def _forget(engine: Engine, name: str) -> None:
    engine.run("rm", "-f", f"{PREFIX}pulled", check=False)
    engine.run("rmi", "-f", name, check=False)
    engine.run("image", "prune", "-f", check=False)
    if engine.name == "corten":
        with engine.api() as api:
            api.call("POST", "/corten/trash/empty")
    os.sync()
    time.sleep(1)  # removal goes on behind the answer


def _cpu_ticks() -> tuple[int, int]:
    """Idle (waiting for a disk counts) and all, of the whole machine."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _highest_memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def _put(engine: Engine, name: str) -> None:
    """By the engine itself, from an archive: the registry need not be reachable from here."""
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            _fill(archive, name)
        file.seek(0)
        subprocess.run(engine.cli("load"), stdin=file, stdout=subprocess.DEVNULL, check=True)
    engine.run("push", name)


def _fill(archive: tarfile.TarFile, name: str) -> None:
    """A docker-archive of LAYERS layers."""
    diff_ids = []
    for number in range(LAYERS):
        layer = _layer(number)
        diff_ids.append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
        add(archive, f"{number}.tar", layer)
    config = {"architecture": ARCHITECTURE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    add(archive, "config.json", json.dumps(config).encode())
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": [f"{number}.tar" for number in range(LAYERS)]}]
    add(archive, "manifest.json", json.dumps(manifest).encode())


def _layer(number: int) -> bytes:
    """A tar of 96 MB that halves when it is compressed."""
    made = random.Random(number)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in range(LAYER_FILES):
            add(tar, f"layer{number}/{file}", made.randbytes(1 << 19) + bytes(1 << 19))
    return buffer.getvalue()
