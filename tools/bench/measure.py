"""Rounds, medians, ratios, tables."""

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

Case = Callable[[], object]


@dataclass(slots=True)
class Row:
    """One line of the table: a figure per engine. `unit` is "ms", "MB" or "MB/s"; a lower figure is better but for MB/s."""

    title: str
    unit: str
    goal: float | None = None  # Corten's figure as a share of Docker's
    figures: dict[str, float] = field(default_factory=dict)

    def ratio(self, base: str) -> float | None:
        if base not in self.figures or "corten" not in self.figures or not self.figures[base]:
            return None
        return self.figures["corten"] / self.figures[base]


def interleave(cases: dict[str, Case], rounds: int) -> dict[str, float]:
    """Median milliseconds of each case; every round runs each once in random order, one round goes unmeasured."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        order = list(cases)
        random.shuffle(order)
        for name in order:
            began = time.perf_counter()
            cases[name]()
            if number:
                taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


def spread(work: Callable[[int], object], count: int, threads: int) -> float:
    """Seconds for `work(0..count-1)` by `threads` threads; the first exception is raised."""
    numbers = iter(range(count))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def loop() -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                work(number)
            except (OSError, RuntimeError, ValueError) as error:
                failures.append(error)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - began


class CpuAccount:
    """CPU time of some processes and their children, by a cgroup of their own (cgroup v1's cpuacct); None where there is none."""

    def __init__(self, name: str, pids: Iterable[int]) -> None:
        self._folder = Path(f"/sys/fs/cgroup/cpuacct/corten-bench-{name}")
        self._usable = self._folder.parent.is_dir()
        if self._usable:
            self._folder.mkdir(exist_ok=True)
            for pid in pids:
                (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def usable(self) -> bool:
        return self._usable

    def milliseconds(self) -> float:
        return int((self._folder / "cpuacct.usage").read_text()) / 1e6


def table(rows: list[Row], engines: list[str]) -> str:
    """Markdown, one row a figure, with Corten's share of each other engine's."""
    others = [e for e in engines if e != "corten"]
    head = ["", *engines, *(f"÷ {e}" for e in others), "goal"]
    lines = [" | ".join(head), "|".join(["---"] * len(head))]
    for row in rows:
        cells = [f"{row.title} ({row.unit})", *(_shown(row.figures.get(e)) for e in engines)]
        cells += [f"{r:.2f}×" if (r := row.ratio(e)) is not None else "–" for e in others]
        cells.append("" if row.goal is None else f"{'≥' if row.unit == 'MB/s' else '≤'} {row.goal:g}×")
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"
