"""Traffic of containers: requests by every way to a published port, lookups of names, and what a network costs the daemon.

The server and the clients of `load` are programs of the host that run in the containers' network namespaces: packets go the same way
as a container's own, and no image must hold them.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tools.bench import load
from tools.bench.api import Api
from tools.bench.engine import PREFIX, Engine, private_corten
from tools.bench.image import provided
from tools.bench.measure import Goal, Row

ROUNDS = 8
SECONDS = "0.7"
PORT = 8080
NETWORK, SERVER, CLIENT = f"{PREFIX}traffic", f"{PREFIX}server", f"{PREFIX}client"
OUTSIDE, INSIDE = "198.51.100.2", "198.51.100.1"
CONNECTS = 30
LOAD = [sys.executable, "-I", "-S", load.__file__]


def inside(pid: int, *arguments: str) -> list[str]:
    return ["nsenter", f"--net=/proc/{pid}/ns/net", *LOAD, *arguments]


def figure(pid: int, *arguments: str, others: Sequence[int]) -> float:
    """Answers for each second of CPU that client, server and engine used for them."""
    before = sum(map(used, others))
    done = subprocess.run(inside(pid, *arguments), capture_output=True, text=True, check=True)
    count, seconds = map(float, done.stdout.split())
    return count / (seconds + (sum(map(used, others)) - before) / 1e3)


def pid_of(engine: Engine, name: str) -> int:
    with engine.api() as api:
        return int(json.loads(api.call("GET", f"/containers/{name}/json"))["State"]["Pid"])


def detail(engine: Engine, name: str, path: Callable[[dict[str, object]], object]) -> str:
    with engine.api() as api:
        return str(path(json.loads(api.call("GET", f"/containers/{name}/json"))["NetworkSettings"]))


@contextmanager
def served(engine: Engine) -> Iterator[tuple[int, str, int]]:
    """A server on a user network with a published port: the port, its address there, its process."""
    engine.run("network", "create", NETWORK)
    engine.run("run", "-d", "--name", SERVER, "--network", NETWORK, "-p", str(PORT), engine.image, "sleep", "1d")
    engine.run("run", "-d", "--name", CLIENT, "--network", NETWORK, engine.image, "sleep", "1d")
    process = subprocess.Popen(inside(pid_of(engine, SERVER), "serve", str(PORT)), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        port = detail(engine, SERVER, lambda found: found["Ports"][f"{PORT}/tcp"][0]["HostPort"])  # type: ignore[index]
        yield int(port), detail(engine, SERVER, lambda found: found["Networks"][NETWORK]["IPAddress"]), process.pid  # type: ignore[index]
    finally:
        process.kill()
        process.wait()
        engine.run("rm", "-f", SERVER, CLIENT)
        engine.run("network", "rm", NETWORK)


@contextmanager
def alone(engine: Engine) -> Iterator[Engine]:
    """Corten in a network namespace of its own, where no other engine's rules drop or delay its packets; others as they are."""
    if engine.name != "corten":
        yield engine
        return
    with namespace() as pid:
        subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "set", "lo", "up"], check=True)
        with private_corten(replace(engine, pid=pid), None) as fresh, provided(fresh):
            yield fresh


@contextmanager
def namespace() -> Iterator[int]:
    """A fresh network namespace: a process in it."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1d"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()


@contextmanager
def neighbour(engine: Engine) -> Iterator[int]:
    """A namespace that reaches the engine's host by a link of its own: a process in it."""
    host = ["nsenter", f"--net=/proc/{engine.pid}/ns/net"]
    with namespace() as pid:
        other = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        for command in (
            [*host, "ip", "link", "add", "bench-up", "type", "veth", "peer", "name", "eth0", "netns", str(pid)],
            [*host, "ip", "addr", "add", f"{INSIDE}/24", "dev", "bench-up"],
            [*host, "ip", "link", "set", "bench-up", "up"],
            [*other, "ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0"],
            [*other, "ip", "link", "set", "eth0", "up"],
        ):
            subprocess.run(command, check=True)
        yield pid


WAYS = (
    ("requests to a published port from a neighbour", "ask", "outside", 1.5),
    ("… each on a new connection", "fetch", "outside", 1.0),
    ("… from the host by its address", "ask", "host", 1.5),
    ("… from the host by 127.0.0.1", "ask", "loopback", 3.0),
    ("requests between two containers", "ask", "container", 1.0),
)


def requests(engines: Sequence[Engine]) -> list[Row]:
    """The server is a small one in Python: where the way costs little, what is measured is the server. The best of the rounds."""
    rows = []
    with ExitStack() as stack:
        engines = [stack.enter_context(alone(engine)) for engine in engines]
        outside = {engine.name: stack.enter_context(neighbour(engine)) for engine in engines}
        found = {engine.name: stack.enter_context(served(engine)) for engine in engines}
        for title, kind, caller, least in WAYS:
            taken: dict[str, list[float]] = {engine.name: [] for engine in engines}
            for _ in range(ROUNDS):
                for engine in engines:
                    port, address, server = found[engine.name]
                    pid, *target = {
                        "outside": (outside[engine.name], INSIDE, port),
                        "host": (engine.pid, INSIDE, port),
                        "loopback": (engine.pid, "127.0.0.1", port),
                    }.get(caller) or (pid_of(engine, CLIENT), address, PORT)
                    taken[engine.name].append(figure(int(pid), kind, *map(str, target), SECONDS, others=[server, *engine.processes()]))
            rows.append(Row(title, "per CPU s", Goal(least, least=True), {name: max(values) for name, values in taken.items()}))
    return rows


def lookups(engines: Sequence[Engine]) -> list[Row]:
    taken: dict[str, list[float]] = {engine.name: [] for engine in engines}
    with ExitStack() as stack:
        for engine in engines:
            stack.enter_context(served(engine))
        clients = {engine.name: pid_of(engine, CLIENT) for engine in engines}
        for _ in range(ROUNDS):
            for engine in engines:
                taken[engine.name].append(figure(clients[engine.name], "resolve", SERVER, SECONDS, others=[engine.pid]))
    return [
        Row("names looked up, one at a time", "per CPU s", Goal(1.0, least=True), {name: max(values) for name, values in taken.items()})
    ]


def connects(engines: Sequence[Engine]) -> list[Row]:
    """CPU time of the daemon process alone while it answers `network connect`, the least of many: other work can only add."""
    row = Row("connect a container with a published port, CPU of the daemon", "CPU ms", Goal(2, "CPU ms"))
    for engine in engines:
        with served(engine), engine.api() as api:
            api.call("POST", "/networks/create", {"Name": f"{PREFIX}other"})
            taken = []
            for _ in range(CONNECTS):
                before = used(engine.pid)
                api.call("POST", f"/networks/{PREFIX}other/connect", {"Container": SERVER})
                taken.append(used(engine.pid) - before)
                api.call("POST", f"/networks/{PREFIX}other/disconnect", {"Container": SERVER})
            row.figures[engine.name] = min(taken)
        engine.run("network", "rm", f"{PREFIX}other")
    return [row]


def used(pid: int) -> float:
    """Milliseconds of CPU of all threads of a process, 0 of one that is gone."""
    try:
        return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6
    except OSError:
        return 0.0


def crowd(engines: Sequence[Engine], count: int) -> list[Row]:
    """Containers on one user network, one after the other: what the last of them cost to start, beside the first. Ten more go ahead."""
    row = Row(f"{count} on one user network: start of the last 30 ÷ the first", "×", Goal(1.3, "(itself)"))
    for engine in engines:
        engine.run("network", "create", NETWORK)
        with engine.api() as api:
            taken = [_started(api, engine, number) for number in range(count)][10:]
            row.figures[engine.name] = statistics.median(taken[-30:]) / statistics.median(taken[:30])
            for number in range(count):
                api.call("DELETE", f"/containers/{PREFIX}crowd-{number}?force=1")
        engine.run("network", "rm", NETWORK)
    return [row]


def _started(api: Api, engine: Engine, number: int) -> float:
    settings: dict[str, object] = {"Image": engine.image, "Cmd": ["sleep", "1d"], "HostConfig": {"NetworkMode": NETWORK}}
    made = api.create(settings, f"{PREFIX}crowd-{number}")
    began = time.perf_counter()
    api.call("POST", f"/containers/{made}/start")
    return time.perf_counter() - began
