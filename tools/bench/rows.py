"""What is measured: each function fills one or a few rows for all engines."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.bench.engine import Engine
from tools.bench.measure import CpuAccount, Row, interleave, spread

BURST = 300


def call(engine: Engine, method: str, path: str, body: object = None) -> bytes:
    client = engine.client()
    try:
        payload = json.dumps(body).encode() if body is not None else None
        answer = client.request(method, f"/v1.41{path}", body=payload, headers=[("Content-Type", "application/json")] if payload else [])
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{engine.name} {method} {path}: {answer.status} {data[:300]!r}")
        return data
    finally:
        client.close()


def cycle(engine: Engine) -> None:
    created = json.loads(call(engine, "POST", "/containers/create", {"Image": engine.image, "Cmd": ["true"]}))["Id"]
    call(engine, "POST", f"/containers/{created}/start")
    call(engine, "POST", f"/containers/{created}/wait")
    call(engine, "DELETE", f"/containers/{created}")


def run(engines: list[Engine], rounds: int) -> list[Row]:
    rows = [
        Row(
            "run --rm true, stock CLI",
            "ms",
            0.20,
            interleave({e.name: partial(e.run, "run", "--rm", e.image, "true") for e in engines}, rounds),
        ),
        Row("API create+start+wait+delete", "ms", 0.10, interleave({e.name: partial(cycle, e) for e in engines}, rounds)),
    ]
    accounts = {e.name: CpuAccount(e.name, [e.pid, *e.processes()]) for e in engines}
    if all(a.usable for a in accounts.values()):
        figures = {}
        for engine in engines:
            began = accounts[engine.name].milliseconds()
            for _ in range(rounds):
                cycle(engine)
            time.sleep(0.5)
            figures[engine.name] = (accounts[engine.name].milliseconds() - began) / rounds
        rows.append(Row("CPU of the same, engine only", "ms", 0.10, figures))
    return rows


def exec_(engines: list[Engine], rounds: int) -> list[Row]:
    names = {}
    for engine in engines:
        engine.run("rm", "-f", "bench-exec", check=False)
        names[engine.name] = engine.run("run", "-d", "--name", "bench-exec", engine.image, "sleep", "1d").stdout.decode().strip()

    def once(engine: Engine) -> None:
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        made = json.loads(call(engine, "POST", f"/containers/{names[engine.name]}/exec", body))["Id"]
        call(engine, "POST", f"/exec/{made}/start", {"Detach": False, "Tty": False})

    try:
        return [Row("API exec", "ms", 0.20, interleave({e.name: partial(once, e) for e in engines}, rounds))]
    finally:
        for engine in engines:
            engine.run("rm", "-f", "bench-exec", check=False)


def burst(engines: list[Engine], rounds: int) -> list[Row]:
    del rounds
    up, down = Row(f"{BURST} containers, 8 at a time: up, each", "ms", 0.20), Row("  … and removed, each", "ms", 0.20)
    idle, each = Row("memory of the idle engine", "MB"), Row("memory per running container", "MB")
    for engine in engines:
        time.sleep(1)
        before = engine.memory()
        ids: list[str] = []

        def start(number: int, engine: Engine = engine, ids: list[str] = ids) -> None:
            made = json.loads(
                call(engine, "POST", f"/containers/create?name=burst-{number}", {"Image": engine.image, "Cmd": ["sleep", "1d"]})
            )["Id"]
            ids.append(made)
            call(engine, "POST", f"/containers/{made}/start")

        def remove(number: int, engine: Engine = engine, ids: list[str] = ids) -> None:
            call(engine, "DELETE", f"/containers/{ids[number]}?force=1")

        up.figures[engine.name] = spread(start, BURST, 8) / BURST * 1e3
        time.sleep(2)
        idle.figures[engine.name] = before / 1e6
        each.figures[engine.name] = (engine.memory() - before) / BURST / 1e6
        down.figures[engine.name] = spread(remove, BURST, 8) / BURST * 1e3
    return [up, down, each, idle]


def logs(engines: list[Engine], rounds: int) -> list[Row]:
    del rounds
    megabytes = 200
    line = "x" * 99
    script = f"yes {line} | head -n {megabytes * 10_000}"
    write, read = Row("log write, 100-byte lines", "MB/s", 6), Row("log read-back", "MB/s", 6)
    for engine in engines:
        engine.run("rm", "-f", "bench-logs", check=False)
        began = time.perf_counter()
        engine.run("run", "-d", "--name", "bench-logs", "--network", "none", engine.image, "sh", "-c", script)
        engine.run("wait", "bench-logs")
        write.figures[engine.name] = megabytes / (time.perf_counter() - began)
        began = time.perf_counter()
        status = os.system(f"{' '.join(engine.cli('logs', 'bench-logs'))} >/dev/null")
        assert status == 0
        read.figures[engine.name] = megabytes / (time.perf_counter() - began)
        engine.run("rm", "-f", "bench-logs")
    return [write, read]


def load(engines: list[Engine], rounds: int) -> list[Row]:
    """Needs BENCH_IMAGE: a docker-archive of some size."""
    del rounds
    path = os.environ.get("BENCH_IMAGE", "")
    if not Path(path).is_file():
        print("  load: set BENCH_IMAGE to an image archive")
        return []
    loaded, saved = Row("load of an image archive", "ms", 0.20), Row("save of it", "ms", 0.30)
    for engine in engines:
        began = time.perf_counter()
        name = engine.run("load", "-i", path).stdout.decode().split(": ", 1)[1].strip()
        loaded.figures[engine.name] = (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
        status = os.system(f"{' '.join(engine.cli('save', name))} >/dev/null")
        assert status == 0
        saved.figures[engine.name] = (time.perf_counter() - began) * 1e3
        engine.run("rmi", name)
    return [loaded, saved]


ROWS: dict[str, Callable[[list[Engine], int], list[Row]]] = {"run": run, "exec": exec_, "burst": burst, "logs": logs, "load": load}
