"""Bodies and answers of the exec calls."""

from msgspec import UNSET, UnsetType, field

from corten.api.wire import AnswerStruct, WireStruct


class ExecBody(WireStruct, frozen=True, kw_only=True):
    """POST /containers/{id}/exec."""

    user: str | None = None
    privileged: bool | None = None
    tty: bool | None = None
    console_size: list[int] | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    detach: bool | None = None
    detach_keys: str | None = None
    env: list[str] | None = None
    working_dir: str | None = None
    cmd: str | list[str] | None = None


class ExecStartBody(WireStruct, frozen=True, kw_only=True):
    """POST /exec/{id}/start."""

    detach: bool | None = None
    tty: bool | None = None
    console_size: list[int] | None = None


class IdAnswer(AnswerStruct, frozen=True, kw_only=True):
    id: str = field(name="Id")


class ExecProcess(AnswerStruct, frozen=True, kw_only=True, rename=str):
    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str | UnsetType = UNSET


class ExecInspect(AnswerStruct, frozen=True, kw_only=True):
    id: str
    running: bool
    exit_code: int | None
    process_config: ExecProcess = field(name="ProcessConfig")
    open_stdin: bool
    open_stderr: bool
    open_stdout: bool
    can_remove: bool = False
    container_id: str
    detach_keys: str
    pid: int
