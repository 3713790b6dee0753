"""What a user asks to run inside a container, and how it stands."""

from dataclasses import dataclass

from corten.ids import ContainerId, ExecId


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecConfig:
    """`user`, `working_dir` "" and an `env` entry's absence mean the container's own. `console_size` is height, width."""

    cmd: tuple[str, ...] = ()
    user: str = ""
    privileged: bool = False
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] = ()
    working_dir: str = ""
    console_size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """`pid` 0 = not started; it stays when the process is over. `exit_code` None = not over. `ended_at` is ns since the epoch."""

    id: ExecId
    container_id: ContainerId
    config: ExecConfig
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    ended_at: int = 0

    @property
    def running(self) -> bool:
        return self.started and self.exit_code is None
