"""Bundles and an OCI runtime's command line, for cases that every OCI runtime must pass.

The runtime under test is ours; OCI_RUNTIME names another (`OCI_RUNTIME=runc pytest --privileged tests/conformance`), to see that a
case is right.
"""

import copy
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.images import BUSYBOX, GROUP, PASSWD, applets

OURS = f"{shlex.quote(sys.executable)} -m corten.runtime.main"
RUNTIME = os.environ.get("OCI_RUNTIME") or OURS
IS_OURS = RUNTIME == OURS
_SOURCE = Path(__file__).resolve().parents[2] / "src"

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"]
PLAIN = ["nosuid", "noexec", "nodev"]


def mount(destination: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source or kind, "options": list(options)}


CONFIG: dict[str, Any] = {
    "ociVersion": "1.2.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin"],
        "cwd": "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
    },
    "root": {"path": "rootfs"},
    "hostname": "conformance",
    "mounts": [
        mount("/proc", "proc", *PLAIN),
        mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        mount("/dev/shm", "tmpfs", *PLAIN, "mode=1777", "size=65536k", source="shm"),
        mount("/sys", "sysfs", *PLAIN, "ro"),
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/acpi", "/sys/firmware", "/proc/not-there"],
        "readonlyPaths": ["/proc/sys", "/proc/bus", "/proc/not-there"],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    },
}


class Done:
    """A finished command of the runtime."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ok(self) -> "Done":
        assert self.code == 0, f"exit status {self.code}\n{self.out}{self.err}"
        return self


class Bundle:
    """A bundle with busybox in it, and the runtime to run it. `config` may be changed until the first command."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.rootfs = directory / "rootfs"
        self.id = name
        self.state_root = directory / "state"
        self.config = copy.deepcopy(CONFIG)
        self.config["linux"]["cgroupsPath"] = f"/corten-conformance/{name}"
        for folder in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
            (self.rootfs / folder).mkdir(parents=True)
        os.link(_busybox(directory), self.rootfs / "bin" / "busybox")
        for applet in applets():
            if applet != "busybox":
                (self.rootfs / "bin" / applet).symlink_to("busybox")
        (self.rootfs / "etc" / "passwd").write_text(PASSWD)
        (self.rootfs / "etc" / "group").write_text(GROUP)

    @property
    def process(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["process"]
        return found

    @property
    def linux(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["linux"]
        return found

    def shell(self, script: str) -> None:
        """Make the container run this."""
        self.process["args"] = ["sh", "-c", script]

    def mount(self, destination: str, kind: str, *options: str, source: str = "") -> None:
        self.config["mounts"].append(mount(destination, kind, *options, source=source))

    def without_namespace(self, kind: str) -> None:
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def namespace(self, kind: str, path: str = "") -> None:
        self.without_namespace(kind)
        self.linux["namespaces"].append({"type": kind, "path": path} if path else {"type": kind})

    def map_users(self, host: int, size: int = 65536) -> None:
        maps = [{"containerID": 0, "hostID": host, "size": size}]
        self.namespace("user")
        self.linux["uidMappings"], self.linux["gidMappings"] = maps, maps
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/dev/pts"]
        self.mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
        for path in (self.rootfs, *self.rootfs.rglob("*")):
            os.chown(path, host, host, follow_symlinks=False)

    def save(self) -> None:
        (self.directory / "config.json").write_text(json.dumps(self.config))

    def call(self, *words: str, stdin: str = "", fds: tuple[int, ...] = (), timeout: float = 30) -> Done:
        """Run the runtime with these words after --root."""
        environment = {**os.environ, "PYTHONPATH": str(_SOURCE)}
        command = [*shlex.split(RUNTIME), "--root", str(self.state_root), *words]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=environment,
            timeout=timeout,
            pass_fds=fds,
            check=False,
        )
        return Done(done)

    def run(self, *options: str, stdin: str = "", fds: tuple[int, ...] = ()) -> Done:
        self.save()
        return self.call("run", "--bundle", str(self.directory), *options, self.id, stdin=stdin, fds=fds)

    def start(self) -> None:
        """A container in the background, its output in the files `out`."""
        self.create()
        self.call("start", self.id).ok()

    def create(self, *options: str) -> None:
        """The first process keeps the command's stdout, so that goes to a file and not into a pipe we would wait on."""
        self.save()
        words = [*shlex.split(RUNTIME), "--root", str(self.state_root), "create", "--bundle", str(self.directory), *options, self.id]
        with self.out.open("wb") as out:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": str(_SOURCE)},
                timeout=30,
                check=False,
            )
        assert done.returncode == 0, self.out.read_text()

    @property
    def out(self) -> Path:
        return self.directory / "out"

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("state", self.id).ok().json
        return found

    def wait_for(self, status: str, seconds: float = 5) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (state := self.state())["status"] != status:
            assert time.monotonic() < deadline, f"still {state['status']}, not {status}\n{self.out.read_text()}"
            time.sleep(0.01)
        return state

    def remove(self) -> None:
        self.call("delete", "--force", self.id)
        for folder in Path("/sys/fs/cgroup").glob("*/corten-conformance"):
            try:
                folder.rmdir()
            except OSError:  # another test's container is in it
                pass


def _busybox(directory: Path) -> Path:
    """One copy per file system is enough."""
    copy_ = directory.parent / "busybox"
    if not copy_.exists():
        copy_.write_bytes(BUSYBOX.read_bytes())
        copy_.chmod(0o755)
    return copy_
