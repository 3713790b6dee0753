"""An engine under measurement: its socket, its stock CLI call, its processes."""

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corten.http.address import parse_address
from corten.http.client import Client


@dataclass(frozen=True, slots=True)
class Engine:
    """`programs` matches the command lines of what stays resident besides the containers' own processes."""

    name: str
    host: str
    programs: re.Pattern[str]
    pid: int
    image: str = "bench/tiny"

    def cli(self, *arguments: str) -> list[str]:
        return ["docker", "-H", self.host, *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.cli(*arguments), stdin=subprocess.DEVNULL, capture_output=True, check=check)

    def client(self) -> Client:
        return Client(parse_address(self.host), timeout=600)

    def processes(self) -> list[int]:
        """The engine's own, not its containers': those in the daemon's mount namespace with a matching command line."""
        here = os.readlink(f"/proc/{self.pid}/ns/mnt")
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if os.readlink(entry / "ns/mnt") == here and self.programs.search(command):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def memory(self) -> int:
        """PSS of its processes in bytes."""
        total = 0
        for pid in self.processes():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total


PROGRAMS = {
    "docker": re.compile(r"^\S*(dockerd|containerd|containerd-shim\S*|docker-proxy)\b"),
    "podman": re.compile(r"^\S*(podman system service|conmon|aardvark-dns|netavark)\b"),
    "corten": re.compile(r"cortend|corten[-.](launcher|monitor)"),
}


def reference(name: str, host: str) -> Engine:
    """An engine that already runs; its pid is the socket's owner."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(host.removeprefix("unix://"))
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    image = "localhost/bench/tiny" if name == "podman" else "bench/tiny"
    return Engine(name, host, PROGRAMS[name], pid, image)


@contextmanager
def private_corten(beside: Engine | None, folder: str | None) -> Iterator[Engine]:
    """A `cortend` of its own below `folder`, in the network namespace of `beside`; ended and removed on leaving."""
    root = Path(tempfile.mkdtemp(prefix="corten-bench-", dir=folder))
    host = f"unix://{root}/corten.sock"
    enter = ["nsenter", f"--net=/proc/{beside.pid}/ns/net"] if beside else []
    command = [
        *enter,
        str(Path(sys.executable).parent / "cortend"),
        "-H",
        host,
        "--data-root",
        f"{root}/data",
        "--exec-root",
        f"{root}/run",
    ]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(root / "corten.sock", process, root / "log")
        yield Engine("corten", host, PROGRAMS["corten"], process.pid)
    finally:
        engine = Engine("corten", host, PROGRAMS["corten"], process.pid)
        names = engine.run("ps", "-aq", check=False).stdout.decode().split()
        if names:
            engine.run("rm", "-f", *names, check=False)
        _end(process, root)


def _await(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        if process.poll() is not None:
            raise SystemExit(f"cortend did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], root: Path) -> None:
    process.terminate()
    process.wait(20)
    mark = str(root)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if re.search(r"corten[-.](launcher|monitor)", command) and mark in command:
                os.kill(int(entry.name), 9)
    shutil.rmtree(root, ignore_errors=True)
