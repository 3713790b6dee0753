"""cgroup v2: one directory, its controllers switched on by the parent, devices guarded by an eBPF program."""

import os

from corten.kernel import bpf
from corten.kernel.cgroup.device_program import device_program
from corten.kernel.cgroup.devices import Policy, digest_rules
from corten.kernel.cgroup.files import find_text, parse_flat, read_text, write_text
from corten.kernel.cgroup.hierarchies import UNIFIED, Hierarchies, resolve
from corten.kernel.cgroup.processes import kill_until_empty, move, read_pids, remove_tree, signal_each, wait_for
from corten.kernel.cgroup.v2_limits import Write, v2_writes
from corten.kernel.cgroup.v2_stats import read_stats
from corten.kernel.cgroup.values import Resources, Stats

CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc")
_OPTIONAL = ("hugetlb.", "memory.swap.max")
"""Files that a kernel may lack: swap accounting can be off, rsvd counters are newer."""


class CgroupV2:
    """See `values.Cgroup` for the contract."""

    __slots__ = ("_directory", "_root")
    version = 2

    def __init__(self, hierarchies: Hierarchies, path: str) -> None:
        self._root = hierarchies.roots[UNIFIED]
        self._directory = self._root + resolve(path, hierarchies.own.get(UNIFIED, "/"))

    def create(self, resources: Resources) -> None:
        policy = digest_rules(resources.get("devices") or [{"allow": True}])
        writes = v2_writes(resources)
        parent = os.path.dirname(self._directory)
        os.makedirs(parent, 0o755, exist_ok=True)
        self._enable_controllers(parent, {controller for controller, _, _ in writes if controller})
        try:
            try:
                os.mkdir(self._directory, 0o755)
            except FileExistsError:
                pass
            self._write(writes)
            if not policy.allows_everything():
                self._guard_devices(policy)
        except BaseException:
            self.delete()
            raise

    def _enable_controllers(self, parent: str, needed: set[str]) -> None:
        """Switches on what is there, from the root down to `parent`; only what a limit needs is worth an error."""
        if needed | {"memory", "pids", "cpu"} <= set(read_text(f"{parent}/cgroup.subtree_control").split()):
            return
        folder = self._root
        for step in ("", *parent[len(self._root) :].strip("/").split("/")):
            folder = f"{folder}/{step}".rstrip("/")
            missing = set(read_text(f"{folder}/cgroup.controllers").split()) - set(read_text(f"{folder}/cgroup.subtree_control").split())
            if missing and folder == self._root:
                self._make_way()
            for controller in CONTROLLERS:
                if controller in missing:
                    self._enable(folder, controller, controller in needed)

    def _enable(self, folder: str, controller: str, is_needed: bool) -> None:
        try:
            write_text(f"{folder}/cgroup.subtree_control", f"+{controller}")
        except OSError:
            if is_needed:
                raise

    def _make_way(self) -> None:
        """In a container the hierarchy's root is an ordinary cgroup, and such a one with processes cannot have limited children:
        they move down, before any controller is switched on (one alone would turn it into a threaded domain for good)."""
        if not os.path.exists(f"{self._root}/cgroup.type"):  # the true root
            return
        inner = f"{self._root}/init"
        os.makedirs(inner, 0o755, exist_ok=True)
        for pid in map(int, read_text(f"{self._root}/cgroup.procs").split()):
            move(inner, pid)

    def entry_fds(self) -> list[int]:
        return [os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]

    def add(self, pid: int) -> None:
        move(self._directory, pid)

    def apply(self, resources: Resources) -> None:
        self._write(v2_writes(resources))
        if resources.get("devices"):
            self._guard_devices(digest_rules(resources["devices"]))

    def _write(self, writes: list[Write]) -> None:
        for _, file, value in writes:
            path = f"{self._directory}/{file}"
            try:
                if file == "io.weight":
                    self._write_io_weight(path, value)
                else:
                    write_text(path, value)
            except FileNotFoundError:
                if not file.startswith(_OPTIONAL) or file.endswith("B.max"):
                    raise

    def _write_io_weight(self, path: str, value: str) -> None:
        """io.weight belongs to the iocost controller, io.bfq.weight to the bfq scheduler; either may be the one that is there."""
        try:
            write_text(path, value)
        except FileNotFoundError:
            device, _, weight = value.rpartition(" ")
            scaled = max(1, min(1000, int(weight) * 1000 // 10000))
            write_text(path.replace("io.weight", "io.bfq.weight"), f"{device} {scaled}".strip())

    def _guard_devices(self, policy: Policy) -> None:
        """Attaches the program for `policy`, then takes earlier ones off: in between both hold, so nothing slips through."""
        fds = self.entry_fds()
        try:
            earlier = bpf.attached(fds[0])
            fds += earlier
            if not policy.allows_everything():
                fds.append(bpf.load_device_program(device_program(policy)))
                bpf.attach(fds[0], fds[-1])
            for program in earlier:
                bpf.detach(fds[0], program)
        finally:
            for fd in fds:
                os.close(fd)

    def freeze(self) -> None:
        write_text(f"{self._directory}/cgroup.freeze", "1")
        events = f"{self._directory}/cgroup.events"
        wait_for(lambda: "frozen 1" in read_text(events), events)

    def thaw(self) -> None:
        write_text(f"{self._directory}/cgroup.freeze", "0")

    def pids(self) -> list[int]:
        return read_pids(self._directory)

    def kill_all(self, signal: int = 9) -> None:
        if signal != 9:
            signal_each(self.pids(), signal)
            return
        try:
            write_text(f"{self._directory}/cgroup.kill", "1")
        except FileNotFoundError:  # before Linux 5.14, or the cgroup is gone
            kill_until_empty(self.pids)

    def stats(self) -> Stats:
        return read_stats(self._directory)

    def oom_kills(self) -> int:
        return parse_flat(find_text(f"{self._directory}/memory.events")).get("oom_kill", 0)

    def delete(self) -> None:
        remove_tree(self._directory)

    def paths(self) -> dict[str, str]:
        return {UNIFIED: self._directory}
