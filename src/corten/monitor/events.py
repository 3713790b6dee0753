"""What the daemon hears from launcher and monitors, and how a container stands, as its own frozen values."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Exited:
    """A process is over, all its output is in the log and with the clients, and its status is on disk.

    `exec_id` None: the container's main process. `exit_code` as a shell shows it (128+n for signal n; 255 = lost for good).
    """

    container_id: str
    exec_id: str | None
    exit_code: int
    finished_at: int
    oom_killed: bool


@dataclass(frozen=True, slots=True)
class Detached:
    """A client typed the detach keys."""

    container_id: str
    exec_id: str | None


@dataclass(frozen=True, slots=True)
class LogFailed:
    """Output could not be kept (disk full); said once until writing works again. The container runs on."""

    container_id: str
    message: str


@dataclass(frozen=True, slots=True)
class OomKilled:
    """The kernel killed a process of the container for memory. Told when the container is over, just before its Exited."""

    container_id: str


@dataclass(frozen=True, slots=True)
class LauncherLost:
    """The launcher died and is being replaced; containers and monitors go on."""


@dataclass(frozen=True, slots=True)
class MonitorLost:
    """A monitor died and is being replaced: its clients were cut off, its containers go on."""

    containers: tuple[str, ...]


Event = Exited | Detached | LogFailed | OomKilled | LauncherLost | MonitorLost


@dataclass(frozen=True, slots=True)
class LiveExec:
    pid: int
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class LiveContainer:
    """`status` "prepared" (streams open, no process yet), "running" or "exited" (until `forget`). `exit_code` None = not over."""

    pid: int
    status: str
    paused: bool
    exit_code: int | None
    started_at: int
    finished_at: int
    oom_killed: bool
    execs: dict[str, LiveExec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Started:
    pid: int
    started_at: int
