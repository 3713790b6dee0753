"""cgroup v1: one directory per controller, joined one by one.

A container joins every hierarchy that this machine mounts, as runc's do, whether a limit asks for it or not (some 0.1 ms each): what
was used before a late join is lost to `stats`, a process that forks while it is moved slips away from `freeze`, limits of a parent
reach only who is below it, and a service's own limits (or `systemctl stop`) must not reach into containers that it started.
"""

import errno
import os

from corten.kernel.cgroup.devices import Device, Policy, device_line, digest_rules, exceptions_of, parse_device_lines
from corten.kernel.cgroup.files import find_number, find_text, read_text, write_text
from corten.kernel.cgroup.hierarchies import UNIFIED, Hierarchies, resolve
from corten.kernel.cgroup.processes import kill_until_empty, move, read_pids, remove_tree, signal_each, wait_for
from corten.kernel.cgroup.v1_limits import Write, v1_writes
from corten.kernel.cgroup.v1_stats import read_stats
from corten.kernel.cgroup.values import Resources, Stats

_LIMIT, _MEMSW = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


class CgroupV1:
    """See `values.Cgroup` for the contract."""

    __slots__ = ("_dirs", "_hierarchies", "_joined")
    version = 1

    def __init__(self, hierarchies: Hierarchies, path: str) -> None:
        self._hierarchies = hierarchies
        self._dirs = {
            name: root + resolve(path, hierarchies.own.get(name, "/")) for name, root in hierarchies.roots.items() if name != UNIFIED
        }
        self._joined: dict[str, str] | None = None

    def create(self, resources: Resources) -> None:
        policy = digest_rules(resources.get("devices") or [{"allow": True}])
        writes = v1_writes(resources)
        self._joined = {}
        try:
            for name in self._dirs:
                self._join(name)
            self._allow_devices(policy, is_new=True)
            self._write(writes)
        except BaseException:
            self.delete()
            raise

    def _directories(self) -> list[str]:
        """Those joined, each once: some machines mount cpu and cpuacct together."""
        return list(dict.fromkeys(self.paths().values()))

    def _directory(self, controller: str) -> str:
        if controller not in self.paths():
            raise FileNotFoundError(errno.ENOENT, "this machine has no such cgroup v1 controller", controller)
        return self.paths()[controller]

    def _join(self, name: str) -> None:
        """Makes the directory (and its parents) in hierarchy `name`."""
        directory = self._dirs[name]
        try:
            os.mkdir(directory, 0o755)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(directory, 0o755, exist_ok=True)
        if name == "cpuset":
            _inherit_cpuset(self._hierarchies.roots[name], directory)
        self.paths()[name] = directory

    def entry_fds(self) -> list[int]:
        fds: list[int] = []
        try:
            for directory in self._directories():
                fds.append(os.open(f"{directory}/tasks", os.O_WRONLY | os.O_CLOEXEC))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    def add(self, pid: int) -> None:
        for directory in self._directories():
            move(directory, pid)

    def apply(self, resources: Resources) -> None:
        writes = v1_writes(resources)
        if resources.get("devices"):
            self._allow_devices(digest_rules(resources["devices"]), is_new=False)
        self._write(writes)

    def _write(self, writes: list[Write]) -> None:
        for controller, file, value in self._ordered(writes):
            _write_limit(f"{self._directory(controller)}/{file}", value)

    def _ordered(self, writes: list[Write]) -> list[Write]:
        """memory <= memory+swap must hold at every moment, so what grows past the other's old value is written second."""
        files = {file: value for _, file, value in writes}
        if _LIMIT not in files or _MEMSW not in files:
            return writes
        wanted = int(files[_MEMSW])
        if wanted != -1 and wanted <= find_number(f"{self.paths()['memory']}/{_MEMSW}"):
            return writes
        return sorted(writes, key=lambda write: write[1] != _MEMSW)

    def _allow_devices(self, policy: Policy, *, is_new: bool) -> None:
        """A live cgroup that denies by default is changed rule by rule, so that no device in use is ever denied in between."""
        directory = self.paths().get("devices")
        if directory is None:
            return
        wanted = exceptions_of(policy)
        exception, default = ("deny", "allow") if policy.allow_by_default else ("allow", "deny")
        had: dict[Device, str] = {}
        if is_new or policy.allow_by_default or read_text(f"{directory}/devices.list").startswith("a "):
            write_text(f"{directory}/devices.{default}", "a")
        else:
            had = parse_device_lines(read_text(f"{directory}/devices.list"))
        for verb, ours, others in ((exception, wanted, had), (default, had, wanted)):
            for device, access in ours.items():
                missing = "".join(letter for letter in access if letter not in others.get(device, ""))
                if missing:
                    write_text(f"{directory}/devices.{verb}", device_line(device, missing))

    def freeze(self) -> None:
        state = f"{self._directory('freezer')}/freezer.state"
        write_text(state, "FROZEN")
        wait_for(lambda: read_text(state) == "FROZEN\n", state)

    def thaw(self) -> None:
        directory = self.paths().get("freezer")
        if directory is not None:
            write_text(f"{directory}/freezer.state", "THAWED")

    def pids(self) -> list[int]:
        return read_pids(next(iter(self.paths().values()), self._dirs["memory"]))

    def kill_all(self, signal: int = 9) -> None:
        if signal != 9:
            signal_each(self.pids(), signal)
            return
        kill_until_empty(self.pids)
        self.thaw()  # a frozen process takes its SIGKILL when it is thawed

    def stats(self) -> Stats:
        return read_stats(self.paths())

    def oom_kills(self) -> int:
        text = find_text(f"{self._dirs.get('memory', '')}/memory.oom_control")
        return int(text.rpartition("oom_kill ")[2] or 0) if "oom_kill " in text else 0

    def delete(self) -> None:
        for directory in self._directories():
            remove_tree(directory)
        self._joined = None

    def paths(self) -> dict[str, str]:
        if self._joined is None:
            self._joined = {name: directory for name, directory in self._dirs.items() if os.path.isdir(directory)}
        return self._joined


def _write_limit(path: str, value: str) -> None:
    """One limit. Files that a kernel names otherwise or lacks are settled here."""
    name = os.path.basename(path)
    try:
        write_text(path, value)
    except FileNotFoundError:
        if name.startswith("blkio.weight"):
            write_text(path.replace("/blkio.", "/blkio.bfq."), value)
        elif name not in (_MEMSW, "memory.kmem.tcp.limit_in_bytes") or value != "-1":
            raise
    except OSError as error:
        if error.errno != errno.EBUSY or name != _LIMIT:
            raise
        used = find_number(f"{os.path.dirname(path)}/memory.usage_in_bytes")
        raise OSError(errno.EBUSY, f"unable to set memory limit to {value} (current usage: {used})", path) from error


def _inherit_cpuset(root: str, directory: str) -> None:
    """A new cpuset is empty and takes no process in; fill it, and parents that are still empty, from above."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if find_text(f"{directory}/{file}").strip():
            continue
        parent = os.path.dirname(directory)
        if parent != root:
            _inherit_cpuset(root, parent)
            write_text(f"{parent}/cgroup.clone_children", "1")  # the kernel fills its next children
        write_text(f"{directory}/{file}", read_text(f"{parent}/{file}"))
