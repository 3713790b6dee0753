"""Loading and saving an image archive of some size: BENCH_IMAGE names it, e.g. the 1.4 GB, 40,000 files of a Python with torch."""

import os
import random
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tools.bench.engine import Engine
from tools.bench.measure import Goal, Row

ROUNDS = 3
LOADED = "Loaded image: "


def archives(engines: Sequence[Engine]) -> list[Row]:
    """Medians of rounds in which every engine loads into an empty store, saves to nowhere and forgets, in random order."""
    path = os.environ.get("BENCH_IMAGE", "")
    if not Path(path).is_file():
        print("  load: set BENCH_IMAGE to an image archive")
        return []
    taken: dict[str, list[tuple[float, float]]] = {engine.name: [] for engine in engines}
    for _ in range(ROUNDS):
        for engine in random.sample(list(engines), len(engines)):
            _read(path)
            os.sync()
            taken[engine.name].append(_once(engine, path))
    loaded, saved = Row("load of an image archive", "ms", Goal(0.20)), Row("save of it", "ms", Goal(0.30))
    for row, which in ((loaded, 0), (saved, 1)):
        row.figures = {name: statistics.median(times[which] for times in found) for name, found in taken.items()}
    return [loaded, saved]


def _once(engine: Engine, path: str) -> tuple[float, float]:
    began = time.perf_counter()
    told = engine.run("load", "-i", path).stdout.decode()
    ready = time.perf_counter()
    names = [line.removeprefix(LOADED) for line in told.splitlines() if line.startswith(LOADED)]
    if not names:
        raise SystemExit(f"{engine.name} loaded no named image: {told.strip()}")
    os.sync()
    saving = time.perf_counter()
    subprocess.run(engine.cli("save", *names[0].split(",")), stdout=subprocess.DEVNULL, check=True)
    saved = time.perf_counter()
    engine.run("rmi", "-f", *names[0].split(","))
    return (ready - began) * 1e3, (saved - saving) * 1e3


def _read(path: str) -> None:
    """Into the page cache: what is measured is not the disk that the archive lies on."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
