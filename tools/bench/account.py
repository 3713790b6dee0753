"""CPU time of an engine: its processes are moved to a cgroup of their own for the time of the benchmark, and back."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.bench.engine import Engine

FOLDER = "corten-bench-"
V1 = Path("/sys/fs/cgroup/cpuacct")
V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Account:
    """`parent` is for `--cgroup-parent`, so that containers are counted too; empty where that is not possible (cgroup v2)."""

    usage_file: Path
    parent: str

    def milliseconds(self) -> float:
        text = self.usage_file.read_text()
        found = re.search(r"^usage_usec (\d+)", text, re.M)
        return int(found[1]) / 1e3 if found else int(text) / 1e6


@contextmanager
def accounted(engine: Engine) -> Iterator[Account | None]:
    """None where there is no cgroup to account with."""
    top = V1 if (V1 / "cpuacct.usage").exists() else V2 if (V2 / "cgroup.controllers").exists() else None
    if top is None:
        yield None
        return
    folder = top / f"{FOLDER}{engine.name}"
    folder.mkdir(exist_ok=True)
    homes = {pid: _home(pid, top) for pid in engine.processes()}
    try:
        for pid in homes:
            _move(pid, folder)
        yield Account(folder / "cpuacct.usage", f"/{folder.name}") if top == V1 else Account(folder / "cpu.stat", "")
    finally:
        for pid in engine.processes():
            _move(pid, homes.get(pid, homes.get(engine.pid, top)))
        _remove(folder)


def _remove(folder: Path) -> None:
    """In every hierarchy, for containers were in all. Engines take theirs away behind the answer: give them a moment."""
    left = [folder] if folder.parent == V2 else [place for place in V2.glob(f"*/{folder.name}") if not place.parent.is_symlink()]
    for _ in range(30):
        left = [place for place in left if not _is_gone(place)]
        if not left:
            return
        time.sleep(0.1)
    print(f"  left behind: {', '.join(map(str, left))}")


def _is_gone(folder: Path) -> bool:
    try:
        for inner, _, _ in os.walk(folder, topdown=False):
            os.rmdir(inner)
    except OSError:
        return False
    return True


def _home(pid: int, top: Path) -> Path:
    pattern = r"^\d+:[^:]*\bcpuacct\b[^:]*:/(.*)$" if top == V1 else r"^0::/(.*)$"
    found = re.search(pattern, Path(f"/proc/{pid}/cgroup").read_text(), re.M)
    return top / found[1] if found and not found[1].startswith(FOLDER) else top  # a run that was cut off moved nothing back


def _move(pid: int, folder: Path) -> None:
    try:
        (folder / "cgroup.procs").write_text(str(pid))
    except ProcessLookupError:
        assert not os.path.exists(f"/proc/{pid}")
