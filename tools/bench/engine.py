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

from tools.bench.api import Api

PREFIX = "bench-"


@dataclass(frozen=True, slots=True)
class Engine:
    """`programs` matches the command lines of what stays resident besides the containers' own processes."""

    name: str
    host: str
    programs: re.Pattern[str]
    pid: int
    image: str = "bench-tiny"

    def cli(self, *arguments: str) -> list[str]:
        return ["docker", "-H", self.host, *arguments]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.cli(*arguments), stdin=subprocess.DEVNULL, capture_output=True, check=check)

    def api(self) -> Api:
        return Api(self.host)

    def words(self, *arguments: str) -> list[str]:
        return self.run(*arguments, check=False).stdout.decode().split()

    def clean(self) -> None:
        """Remove everything whose name begins with PREFIX."""
        if found := self.words("ps", "-aq", "--filter", f"name=^/?{PREFIX}"):
            self.run("rm", "-f", *found, check=False)
        for network in self.words("network", "ls", "--filter", f"name={PREFIX}", "--format", "{{.Name}}"):
            self.run("network", "rm", network, check=False)
        self.clean_images(PREFIX)

    def clean_images(self, prefix: str) -> None:
        found = self.words("images", "--format", "{{.Repository}}:{{.Tag}}")
        if names := [name for name in found if name.removeprefix("localhost/").startswith(prefix)]:
            self.run("rmi", *names, check=False)

    def processes(self) -> list[int]:
        """The engine's own, not its containers': those in the daemon's mount namespace with a matching command line."""
        here = os.readlink(f"/proc/{self.pid}/ns/mnt")
        return [pid for pid, command in commands() if self.programs.search(command) and _mount_namespace(pid) == here]

    def memory(self) -> float:
        """PSS of its processes in megabytes."""
        total = 0
        for pid in self.processes():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total / 1e6


def commands() -> Iterator[tuple[int, str]]:
    """(pid, command line) of every process that has one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if command:
                yield int(entry.name), command


def _mount_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


DAEMONS = {"docker": re.compile(r"^\S*dockerd\b"), "podman": re.compile(r"^\S*podman system service\b")}
PROGRAMS = {
    "docker": re.compile(r"^\S*(dockerd|containerd|containerd-shim\S*|docker-proxy)\b"),
    "podman": re.compile(r"^\S*(podman system service|conmon|aardvark-dns|netavark)\b"),
}


def reference(name: str, host: str) -> Engine:
    """An engine that already runs. Its process is the socket's owner, or, where an init system listens for it, the one of its name."""
    if not host.startswith("unix://"):
        raise SystemExit(f"{host}: the processes of a reference engine are looked at, so it must be on this machine: unix:///PATH")
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(host.removeprefix("unix://"))
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError as error:
        raise SystemExit(f"no {name} answers at {host}: {error.strerror}") from None
    daemons = [number for number, command in commands() if DAEMONS[name].search(command)]
    if pid not in daemons:
        pid = next(iter(daemons), pid)
    image = "localhost/bench-tiny" if name == "podman" else "bench-tiny"
    return Engine(name, host, PROGRAMS[name], pid, image)


@contextmanager
def private_corten(beside: Engine | None, folder: str | None) -> Iterator[Engine]:
    """A `cortend` of its own below `folder`, in the network namespace of `beside`; ended and removed on leaving."""
    root = Path(tempfile.mkdtemp(prefix="corten-bench-", dir=folder))
    host = f"unix://{root}/corten.sock"
    enter = ["nsenter", f"--net=/proc/{beside.pid}/ns/net"] if beside else []
    daemon = str(Path(sys.executable).parent / "cortend")
    command = [*enter, daemon, "-H", host, "--data-root", f"{root}/data", "--exec-root", f"{root}/run"]
    programs = re.compile(rf"corten(d|[-.]launcher|[-.]monitor).*{re.escape(str(root))}")
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    engine = Engine("corten", host, programs, process.pid)
    try:
        _await(root / "corten.sock", process, root / "log")
        yield engine
    finally:
        _end(engine, process, root)
        subprocess.run([*enter, daemon, "--remove-networks", "--exec-root", f"{root}/run"], stdout=subprocess.DEVNULL, check=False)


def _await(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        if process.poll() is not None:
            raise SystemExit(f"cortend did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _end(engine: Engine, process: subprocess.Popen[bytes], root: Path) -> None:
    if process.poll() is None:
        if names := engine.words("ps", "-aq"):
            engine.run("rm", "-f", *names, check=False)
        process.terminate()
        process.wait(20)
    for _ in range(20):  # a launcher forks a monitor for one that is killed: until none is left
        left = [pid for pid, command in commands() if engine.programs.search(command) and pid != os.getpid()]
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
    shutil.rmtree(root, ignore_errors=True)
