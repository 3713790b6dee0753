"""What is measured: each function fills one or a few rows for all engines."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.bench.account import Account
from tools.bench.archives import archives
from tools.bench.builds import builds
from tools.bench.engine import Engine
from tools.bench.image import LINES_BYTES, LINES_FILE, small_tar
from tools.bench.measure import Goal, Row, interleave, spread
from tools.bench.pulls import pulls
from tools.bench.traffic import connects, crowd, lookups, requests

AT_A_TIME = 8
WINDOW = 10
BATCHES = 3
IMAGES = 100
LOG_MEGABYTES = 400
SLEEP = ["sleep", "1d"]


@dataclass(frozen=True, slots=True)
class Bench:
    engines: list[Engine]
    accounts: Mapping[str, Account | None]
    rounds: int
    containers: int

    def times(self, title: str, goal: Goal | None, case: Callable[[Engine], object]) -> Row:
        return Row(title, "ms", goal, interleave({e.name: partial(case, e) for e in self.engines}, self.rounds))

    def cpu(self, title: str, goal: Goal, case: Callable[[Engine], object]) -> list[Row]:
        """The least of a few batches: other work on the machine can only add. No row where CPU time cannot be accounted."""
        row = Row(title, "CPU ms", goal)
        for engine in self.engines:
            account = self.accounts[engine.name]
            if account is None:
                return []
            row.figures[engine.name] = min(_cpu_of(partial(case, engine), account, self.rounds // 2 + 1) for _ in range(BATCHES))
        return [row]

    def parent(self, engine: Engine) -> str:
        account = self.accounts[engine.name]
        return account.parent if account is not None else ""


def _cpu_of(case: Callable[[], object], account: Account, count: int) -> float:
    case()

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return account.milliseconds() + (children.ru_utime + children.ru_stime) * 1e3

    before = used()
    for _ in range(count):
        case()
    time.sleep(0.5)  # what is done behind the answer counts too
    return (used() - before) / count


def idle(bench: Bench) -> list[Row]:
    """Before anything ran: what lies there."""
    time.sleep(2)
    row = Row("idle daemon with its helpers, PSS", "MB", Goal(40, "MB"))
    row.figures = {engine.name: engine.memory() for engine in bench.engines}
    return [row]


def run(bench: Bench) -> list[Row]:
    def stock(engine: Engine) -> None:
        parent = [f"--cgroup-parent={bench.parent(engine)}"] if bench.parent(engine) else []
        engine.run("run", "--rm", *parent, engine.image, "true")

    def own(engine: Engine) -> None:
        command = engine.cli() if engine.name != "corten" else [str(Path(sys.executable).parent / "corten"), "-H", engine.host]
        subprocess.run([*command, "run", "--rm", engine.image, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=True)

    def cycle(engine: Engine) -> None:
        with engine.api() as api:
            host = {"CgroupParent": bench.parent(engine)}
            made = api.create({"Image": engine.image, "Cmd": ["true"], "HostConfig": host})
            api.call("POST", f"/containers/{made}/start")
            api.call("POST", f"/containers/{made}/wait")
            api.call("DELETE", f"/containers/{made}")

    return [
        bench.times("`run --rm IMAGE true`, stock CLI, bridge", Goal(0.20), stock),
        *bench.cpu("… CPU of CLI, engine and container", Goal(0.10), stock),
        bench.times("… by each engine's own CLI", Goal(0.20), own),
        bench.times("API create, start, wait, delete", Goal(0.10), cycle),
        *bench.cpu("… CPU of engine and container", Goal(0.10), cycle),
    ]


def exec_(bench: Bench) -> list[Row]:
    made = {e.name: e.run("run", "-d", "--name", "bench-exec", e.image, *SLEEP).stdout.decode().strip() for e in bench.engines}

    def once(engine: Engine) -> None:
        with engine.api() as api:
            body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
            session = api.create_exec(made[engine.name], body)
            api.call("POST", f"/exec/{session}/start", {"Detach": False, "Tty": False})

    rows = [bench.times("API exec of `true`", Goal(0.20), once)]
    for engine in bench.engines:
        engine.run("rm", "-f", "bench-exec")
    return rows


def networks(bench: Bench) -> list[Row]:
    """The start alone: what a network costs is in it."""
    for engine in bench.engines:
        engine.run("network", "create", "bench-net")
    return [
        Row("start on the default network", "ms", Goal(0.20), _start_times(bench, "default")),
        Row("start on a user network", "ms", Goal(0.20), _start_times(bench, "bench-net")),
    ]


def _start_times(bench: Bench, network: str) -> dict[str, float]:
    taken: dict[str, list[float]] = {e.name: [] for e in bench.engines}
    for _ in range(bench.rounds):
        for engine in bench.engines:
            with engine.api() as api:
                made = api.create({"Image": engine.image, "Cmd": SLEEP, "HostConfig": {"NetworkMode": network}}, "bench-start")
                began = time.perf_counter()
                api.call("POST", f"/containers/{made}/start")
                taken[engine.name].append((time.perf_counter() - began) * 1e3)
                api.call("DELETE", f"/containers/{made}?force=1")
    return {name: sorted(values)[len(values) // 2] for name, values in taken.items()}


def burst(bench: Bench) -> list[Row]:
    count = bench.containers
    up, down = Row(f"{count} containers, {AT_A_TIME} at a time: up, each", "ms", Goal(0.20)), Row("… removed, each", "ms", Goal(0.20))
    flat = Row(f"… up, the last {_window(count)} ÷ the first", "×", Goal(1.3, "(itself)"))
    each = Row("memory per running container, PSS", "MB", Goal(0.5, "MB"))
    first = Row(f"… of the first {WINDOW}", "MB", Goal(0.5, "MB"))
    listed = {path: Row(title, "ms", Goal(0.5)) for path, title in LISTS.items()}
    for engine in bench.engines:
        time.sleep(2)
        before = engine.memory()
        took = [_up(engine, range(WINDOW))]
        time.sleep(2)
        first.figures[engine.name] = (engine.memory() - before) / WINDOW
        size = _window(count)
        took += [_up(engine, range(begin, min(begin + size, count))) for begin in range(WINDOW, count, size)]
        up.figures[engine.name] = sum(took) / count * 1e3
        flat.figures[engine.name] = took[-1] / took[1] if len(took) > 2 else 1.0
        time.sleep(2)
        each.figures[engine.name] = (engine.memory() - before) / count
        for path, milliseconds in _lists(engine, bench.rounds).items():
            listed[path].figures[engine.name] = milliseconds
        down.figures[engine.name] = spread(partial(_remove, engine), range(count), AT_A_TIME) / count * 1e3
        engine.clean_images("bench-list")
    return [up, flat, down, each, first, *listed.values()]


LISTS = {
    "/containers/json?all=1": "API `ps -a`, all of them running",
    "/images/json": f"API `images`, {IMAGES} more",
    "/system/df": "API `system df`",
}


def _window(count: int) -> int:
    return max(count // 6, WINDOW)


def _up(engine: Engine, numbers: range) -> float:
    return spread(partial(_start, engine), numbers, AT_A_TIME)


def _start(engine: Engine, number: int) -> None:
    with engine.api() as api:
        made = api.create({"Image": engine.image, "Cmd": SLEEP}, f"bench-burst-{number}")
        api.call("POST", f"/containers/{made}/start")


def _remove(engine: Engine, number: int) -> None:
    with engine.api() as api:
        api.call("DELETE", f"/containers/bench-burst-{number}?force=1")


def _lists(engine: Engine, rounds: int) -> dict[str, float]:
    with engine.api() as api:
        for number in range(IMAGES):
            api.call("POST", f"/images/create?fromSrc=-&repo=bench-list&tag={number}", small_tar(number))
        return interleave({path: partial(api.call, "GET", path) for path in LISTS}, rounds)


def logs(bench: Bench) -> list[Row]:
    """The best of two: the figure is a rate of the engine, and other work on the machine can only lower it."""
    write = Row(f"log write, {LOG_MEGABYTES} MB of 100-byte lines", "MB/s", Goal(6, least=True))
    read = Row("log read-back", "MB/s", Goal(6, least=True))
    script = f"for i in $(seq {LOG_MEGABYTES * 10**6 // LINES_BYTES // 10}); do cat {' '.join([LINES_FILE] * 10)}; done"
    for _ in range(2):
        for engine in bench.engines:
            began = time.perf_counter()
            options = ("--network", "none", "--log-opt", "max-size=1g")
            engine.run("run", "-d", "--name", "bench-logs", *options, engine.image, "sh", "-c", script)
            engine.run("wait", "bench-logs")
            written = time.perf_counter()
            subprocess.run(engine.cli("logs", "bench-logs"), stdout=subprocess.DEVNULL, check=True)
            ended = time.perf_counter()
            write.figures[engine.name] = max(write.figures.get(engine.name, 0), LOG_MEGABYTES / (written - began))
            read.figures[engine.name] = max(read.figures.get(engine.name, 0), LOG_MEGABYTES / (ended - written))
            engine.run("rm", "-f", "bench-logs")
    return [write, read]


ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "idle": idle,
    "run": run,
    "exec": exec_,
    "networks": networks,
    "connects": lambda bench: connects(bench.engines),
    "traffic": lambda bench: requests(bench.engines),
    "names": lambda bench: lookups(bench.engines),
    "crowd": lambda bench: crowd(bench.engines, bench.containers),
    "burst": burst,
    "logs": logs,
    "pulls": lambda bench: pulls(bench.engines, bench.accounts),
    "archives": lambda bench: archives(bench.engines),
    "builds": lambda bench: builds(bench.engines),
}
