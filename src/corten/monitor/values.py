"""The plain data that the daemon, the launcher and the monitors say to each other: what travels as JSON in `corten.monitor.wire`.

Sizes are bytes, times nanoseconds since the epoch, terminal sizes [height, width] in characters.
"""

from typing import Any, Literal, NotRequired, TypedDict

MONITOR_CAPACITY = 16
"""Containers to one monitor: enough to share its 1.1 MB, few enough that a noisy one stalls nobody else."""

UNKNOWN_EXIT = 255
"""The exit code that is reported when a process' status is lost for good (launcher and monitor killed, kernel before 6.15)."""

JsonObject = dict[str, Any]


class LogSpec(TypedDict):
    """How a container's output is kept.

    `path` is the live file, `path.1` the one before it and so on up to `max_file` files in all; `max_size` -1 means no limit.
    `compress` gzips every file but the live one. `attrs` are the labels and environment that json-file repeats in each line.
    """

    driver: Literal["json-file", "local", "none"]
    path: str
    max_size: NotRequired[int]  # default 10_000_000
    max_file: NotRequired[int]  # default 10
    compress: NotRequired[bool]
    attrs: NotRequired[dict[str, str]]


class StdioSpec(TypedDict):
    """Streams of a container's main process. Without `open_stdin` its stdin is /dev/null.

    `stdin_once`: stdin closes for good when the first client that had it goes away or half-closes. `log` None keeps nothing.
    """

    tty: bool
    open_stdin: bool
    stdin_once: bool
    log: LogSpec | None


class RootMount(TypedDict):
    """As an OCI mount, but for the root itself: mounted at `root.path` inside the new mount namespace."""

    type: str
    source: str
    options: list[str]


class StartSpec(TypedDict):
    """What the runtime needs; the OCI spec itself is `bundle`/config.json.

    `runtime` names an OCI runtime binary (runc, crun, ...); without it the built-in one runs in the monitor itself.
    `private_pids` False (a shared pid namespace): what the main process leaves behind is killed when it exits.
    """

    bundle: str
    state_root: str
    root_mounts: list[RootMount]
    console_size: NotRequired[list[int]]
    runtime: NotRequired[str]
    private_pids: NotRequired[bool]


class AttachOptions(TypedDict):
    """What a client wants of a process' streams.

    `stream` False with `logs` True replays the log and ends. `framed` puts Docker's 8-byte header before each piece (never with
    a tty). `detach_keys` as Docker spells them, "" = ctrl-p,ctrl-q; they are looked for only with a tty.
    """

    stdin: bool
    stdout: bool
    stderr: bool
    stream: bool
    logs: bool
    framed: bool
    detach_keys: str


class LogOptions(TypedDict):
    """Which part of a log, and in what clothes.

    `since_ns` and `until_ns` 0 = open. `tail` -1 = all. `chunked`: HTTP chunked transfer coding, ended by its last chunk.
    `follow` goes on until the container's process has exited; for one that does not run it makes no difference. `head` is sent
    first, as it is, once the files are open: a client that has seen it may remove the container and still gets the log.
    """

    log: LogSpec
    follow: bool
    stdout: bool
    stderr: bool
    since_ns: int
    until_ns: int
    tail: int
    timestamps: bool
    details: bool
    framed: bool
    chunked: bool
    head: NotRequired[str]


class ExitRecord(TypedDict):
    """`exit.json` in the container's runtime directory: on disk before anybody is told."""

    exit_code: int
    finished_at: int
    oom_killed: bool


class ExecState(TypedDict):
    pid: int
    exit_code: int | None


class ContainerState(TypedDict):
    """One container as its monitor sees it. "prepared": streams are open, no process yet."""

    id: str
    status: Literal["prepared", "running", "exited"]
    paused: bool
    pid: int
    started_at: int
    exit: ExitRecord | None
    execs: dict[str, ExecState]
