"""Rounds, medians, ratios, tables."""

import random
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Case = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Goal:
    """At most (or, of a rate, at least) this share of Docker's figure, or this figure itself."""

    value: float
    unit: str = "×"
    least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.value:g}{self.unit if self.unit == '×' else f' {self.unit}'}"

    def is_met(self, figure: float) -> bool:
        return figure >= self.value if self.least else figure <= self.value


@dataclass(slots=True)
class Row:
    """One line of the table: a figure per engine."""

    title: str
    unit: str
    goal: Goal | None = None
    figures: dict[str, float] = field(default_factory=dict)

    def ratio(self, base: str) -> float | None:
        if self.unit == "×" or base not in self.figures or "corten" not in self.figures or not self.figures[base]:
            return None
        return self.figures["corten"] / self.figures[base]

    def verdict(self) -> str:
        if self.goal is None:
            return ""
        figure = self.ratio("docker") if self.goal.unit == "×" else self.figures.get("corten")
        return str(self.goal) if figure is None else f"{self.goal} {'✓' if self.goal.is_met(figure) else '✗'}"

    def as_json(self) -> dict[str, object]:
        return {"row": self.title, "unit": self.unit, "goal": str(self.goal or ""), **self.figures}


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


def spread(work: Callable[[int], object], numbers: range, threads: int) -> float:
    """Seconds for `work(number)` of each number by `threads` threads; the first exception is raised."""
    left = iter(numbers)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def loop() -> None:
        while not failures:
            with lock:
                number = next(left, None)
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


def load_average() -> float:
    return float(Path("/proc/loadavg").read_text().split()[0])


def table(rows: list[Row], engines: list[str]) -> str:
    """Markdown, one row a figure, with Corten's share of each other engine's."""
    others = [e for e in engines if e != "corten"]
    head = ["work", *engines, *(f"÷ {e}" for e in others), "goal"]
    lines = [" | ".join(head), "|".join(["---"] * len(head))]
    for row in rows:
        cells = [f"{row.title} ({row.unit})", *(_shown(row.figures.get(e)) for e in engines)]
        cells += [f"{r:.2f}×" if (r := row.ratio(e)) is not None else "–" for e in others]
        lines.append(" | ".join([*cells, row.verdict()]))
    return "\n".join(f"|{line}|" if line.startswith("---") else f"| {line} |" for line in lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
