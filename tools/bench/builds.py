"""Builds side by side: Docker's two builders, Corten by the stock CLI and by its own, and podman's buildah behind its socket.

BENCH_BASE names a tar of a root file system with Python and pip; without it `corten image bootstrap` makes one, which is kept.
"""

import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.bench.contexts import STEPS, Context, large, steps, touch, wheels
from tools.bench.engine import PREFIX, Engine
from tools.bench.measure import Goal, Row

ROUNDS = 3
LARGE_ROUNDS = 2
SETTLED = 3.0
"""Seconds after which Corten believes that a file has stopped changing."""
BASE = f"{PREFIX}base"
WRITTEN = 2 << 30


@dataclass(frozen=True, slots=True)
class Builder:
    """One way to build with an engine."""

    title: str
    engine: Engine
    command: tuple[str, ...]
    buildkit: bool = False

    def build(self, folder: Path, *options: str) -> tuple[float, str]:
        """Seconds, and what it said."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1" if self.buildkit else "0", "BUILDKIT_PROGRESS": "plain"}
        began = time.perf_counter()
        command = [*self.command, "-t", f"{PREFIX}built", *options, str(folder)]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{self.title}: {' '.join(command)}: {done.stderr.decode()[-2000:]}{done.stdout.decode()[-2000:]}")
        return seconds, (done.stdout + done.stderr).decode(errors="replace")


Once = Callable[[Builder, int], Sequence[float]]


def builders(engines: Sequence[Engine]) -> list[Builder]:
    """BuildKit only where the stock CLI has its plug-in."""
    found: list[Builder] = []
    for engine in engines:
        stock = Builder(f"{engine.name}: stock CLI, classic builder", engine, tuple(engine.cli("build")))
        if engine.name == "docker" and engine.run("buildx", "version", check=False).returncode == 0:
            found.append(Builder("docker: BuildKit", engine, stock.command, buildkit=True))
        found.append(stock)
        if engine.name == "corten":
            own = (str(Path(sys.executable).parent / "corten"), "-H", engine.host, "build")
            found.append(Builder("corten: its own CLI", engine, own))
    return found


def builds(engines: Sequence[Engine]) -> list[Row]:
    ways = builders(engines)
    with tempfile.TemporaryDirectory(prefix="corten-bench-", dir="/var/tmp") as work:
        context = Context(Path(work))
        return [*_twelve_steps(ways, context), *_many_files(ways, context), *_side_by_side(ways, context), *_written(ways, context)]


def rows(title: str, goal: Goal | None, taken: dict[Builder, list[float]], unit: str = "ms") -> list[Row]:
    """The better builder of each engine against the other's, then each one."""
    scale = 1e3 if unit == "ms" else 1.0
    found = {builder: statistics.median(values) * scale for builder, values in taken.items()}
    best = Row(title, unit, goal)
    for builder, value in found.items():
        best.figures[builder.engine.name] = min(value, best.figures.get(builder.engine.name, value))
    each = [Row(f"… {builder.title}", unit, None, {builder.engine.name: value}) for builder, value in found.items()]
    return [best, *each]


def measured(
    ways: Sequence[Builder], once: Callable[[Builder, int], Sequence[float]], rounds: int = ROUNDS
) -> list[dict[Builder, list[float]]]:
    """`once(builder, round)` gives some figures; by figure and builder, from rounds in random order."""
    taken: dict[Builder, list[Sequence[float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in random.sample(list(ways), len(ways)):
            taken[way].append(once(way, number))
            print(f"  {way.title}: {' '.join(f'{seconds:.2f}' for seconds in taken[way][-1])}", flush=True)
    count = len(taken[ways[0]][0])
    return [{way: [values[n] for values in found] for way, found in taken.items()} for n in range(count)]


def _twelve_steps(ways: Sequence[Builder], context: Context) -> list[Row]:
    with provided_base([way.engine for way in ways if not way.buildkit]):
        steps(context.folder("steps"), wheels(), BASE)

        def once(way: Builder, number: int) -> Sequence[float]:
            folder = context.folder("steps")
            cold, _ = way.build(folder, "--no-cache")
            way.build(folder)  # makes sure that the cache is whole
            cached, _ = way.build(folder)
            touch(folder, f"{way.title} {number}")
            touched, _ = way.build(folder)
            return cold, cached, touched

        cold, cached, touched = measured(ways, once)
    return [
        *rows(f"build of {STEPS} steps, cold", Goal(0.7), cold),
        *rows("… fully cached", Goal(0.3), cached),
        *rows("… one file of the application touched", Goal(0.3), touched),
    ]


def _many_files(ways: Sequence[Builder], context: Context) -> list[Row]:
    """Each build has a folder of a name of its own, since BuildKit keeps contexts by name, and files that have just changed, since Corten
    keeps digests by inode and change time: all of it is taken in.
    """
    folder = context.folder("files")
    large(folder)

    def once(way: Builder, number: int) -> Sequence[float]:
        own = context.folder(f"files-{random.randbytes(6).hex()}")
        own.rmdir()
        folder.rename(own)
        for path in own.rglob("*"):
            path.touch()
        time.sleep(SETTLED)
        try:
            first, _ = way.build(own, "--no-cache")
            again, _ = way.build(own)
        finally:
            own.rename(folder)
        return first, again

    first, again = measured(ways, once, LARGE_ROUNDS)
    return [*rows("context of 20,000 files and 1 GB taken in and copied", Goal(0.7), first), *rows("… again, unchanged", None, again)]


TWO_STAGES = """FROM {image} AS one
{work}
FROM {image} AS two
{work}
FROM scratch
COPY --from=one /done /one
COPY --from=two /done /two
"""


def _side_by_side(ways: Sequence[Builder], context: Context) -> list[Row]:
    """Two stages of equal work for a processor in the time of one. The classic builder knows no such thing."""
    folder = context.folder("stages")
    work = "RUN i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done; echo > /done"

    def once(way: Builder, _: int) -> Sequence[float]:
        (folder / "Dockerfile").write_text(TWO_STAGES.format(image=way.engine.image, work=work))
        one, _said = way.build(folder, "--no-cache", "--target", "one")
        both, _said = way.build(folder, "--no-cache")
        return (both / one,)

    (taken,) = measured(ways, once)
    return rows("two stages of equal work ÷ one of them", None, taken, "×")


def _written(ways: Sequence[Builder], context: Context) -> list[Row]:
    """From the end of a RUN that wrote 2 GB until a container of the image has started."""
    folder = context.folder("written")

    def once(way: Builder, _: int) -> Sequence[float]:
        run = f"RUN head -c {WRITTEN} /dev/urandom > /big && echo ended=$(cut -d' ' -f1 /proc/uptime)="
        (folder / "Dockerfile").write_text(f"FROM {way.engine.image}\n{run}\n")
        said = way.build(folder, "--no-cache")[1]
        ended = max(float(found) for found in re.findall(r"ended=([0-9.]+)=", said))
        way.engine.run("run", "--rm", "--network", "none", f"{PREFIX}built", "true")
        started = time.clock_gettime(time.CLOCK_BOOTTIME)
        way.engine.run("rmi", "-f", f"{PREFIX}built", check=False)
        return (started - ended,)

    (taken,) = measured(ways, once, LARGE_ROUNDS)
    return rows("a RUN that writes 2 GB: from its end to a started container", None, taken)


@contextmanager
def provided_base(engines: Sequence[Engine]) -> Iterator[None]:
    names = {engine.name: engine for engine in engines}
    path = Path(os.environ.get("BENCH_BASE", ""))
    if not path.is_file():
        path = _made(names["corten"])
    for engine in names.values():
        with path.open("rb") as file:
            subprocess.run(engine.cli("import", "-", BASE), stdin=file, stdout=subprocess.DEVNULL, check=True)
    yield


def _made(corten: Engine) -> Path:
    """The file system of a minimal Debian with Python, as a tar."""
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "corten-bench" / "base.tar"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    program = str(Path(sys.executable).parent / "corten")
    name = f"{PREFIX}bootstrap:bookworm-slim"
    packages = "python3,python3-pip,ca-certificates"
    subprocess.run([program, "-H", corten.host, "image", "bootstrap", "-q", "--include", packages, "debian:bookworm-slim"], check=True)
    corten.run("tag", "debian:bookworm-slim", name)
    corten.run("create", "--name", f"{PREFIX}bootstrap", name, "true")
    part = path.with_suffix(".part")
    corten.run("export", "-o", str(part), f"{PREFIX}bootstrap")
    corten.run("rm", f"{PREFIX}bootstrap")
    shutil.move(part, path)
    return path
