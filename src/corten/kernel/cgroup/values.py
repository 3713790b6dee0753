"""What goes into and comes out of a cgroup: the OCI `linux.resources` object and the measured figures."""

from typing import Any, Protocol, TypedDict

Resources = dict[str, Any]
"""OCI runtime-spec `linux.resources` (1.2), as parsed from JSON."""

UNLIMITED = (1 << 63) - 4096
"""What v1 memory files show for "no limit" (PAGE_COUNTER_MAX on 4 KiB pages)."""


class IoEntry(TypedDict):
    """One line of Docker's `blkio_stats`: device, operation (read, write, sync, async, discard, total) and a count."""

    major: int
    minor: int
    op: str
    value: int


class Stats(TypedDict):
    """One reading. Times are ns, sizes bytes; a limit of 0 is "none". `memory_stat` is the kernel's memory.stat, unchanged.

    `per_cpu` and the v1-only counters are empty or 0 on v2. Each `io_*` list has an entry per device and operation.
    """

    version: int
    cpu_total: int
    cpu_user: int
    cpu_system: int
    per_cpu: list[int]
    periods: int
    throttled_periods: int
    throttled_time: int
    memory_usage: int
    memory_max_usage: int
    memory_limit: int
    memory_failcnt: int
    memory_stat: dict[str, int]
    oom_kills: int
    pids_current: int
    pids_limit: int
    io_service_bytes: list[IoEntry]
    io_serviced: list[IoEntry]


class Cgroup(Protocol):
    """One container's place in the control groups. Built by `open_cgroup`; holds no descriptors and no locks.

    All calls are cheap files of sysfs kind (10-60 us each) but `delete`, which may wait some 40 ms.
    """

    @property
    def version(self) -> int:
        """1 or 2."""

    def create(self, resources: Resources) -> None:
        """Makes the directories and sets the limits. On an error nothing is left behind."""

    def entry_fds(self) -> list[int]:
        """Descriptors (close-on-exec, owned by the caller) for `enter`: a forked child puts *itself* into the cgroup with them.

        On v2 the list holds the cgroup directory's descriptor alone, fit for CLONE_INTO_CGROUP.
        """

    def add(self, pid: int) -> None:
        """Moves another process in. After some quiet time this waits ~10 ms for an RCU grace period: `enter` does not."""

    def apply(self, resources: Resources) -> None:
        """Changes limits of a live cgroup; what `resources` does not mention stays."""

    def freeze(self) -> None:
        """Stops all processes and returns when they stand still (raises TimeoutError after 10 s)."""

    def thaw(self) -> None:
        """Lets frozen processes go on. Nothing happens when none is frozen."""

    def pids(self) -> list[int]:
        """Process ids (thread-group leaders) in this cgroup and below, ascending."""

    def kill_all(self, signal: int = 9) -> None:
        """Sends `signal` to every process inside. SIGKILL repeats until none is left to signal."""

    def stats(self) -> Stats:
        """One reading of all figures."""

    def oom_kills(self) -> int:
        """How many processes the kernel has killed here for want of memory."""

    def delete(self) -> None:
        """Removes the directories (children too), waiting for dying processes up to some seconds. Idempotent.

        Belongs behind the answer. Raises OSError(EBUSY) when live processes remain."""

    def paths(self) -> dict[str, str]:
        """Controller -> host directory of those joined; on v2 {"": directory}."""
