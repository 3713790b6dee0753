"""The 18 instructions as values, variables not yet replaced."""

from dataclasses import dataclass, field

from corten.build.dockerfile.lexer import Heredoc


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """Source lines (1-based, both ends in) and the instruction as written; `comment` is what stands right above it."""

    start: int
    end: int
    text: str
    comment: str = ""
    empty_continuation: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """RUN, CMD and ENTRYPOINT: exec form has `argv`, shell form has `text`."""

    text: str = ""
    argv: tuple[str, ...] | None = None

    @property
    def is_shell(self) -> bool:
        return self.argv is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    place: SourceLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    image: str
    platform: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFlag:
    """`RUN --mount`: `options` are its key=value pairs in lower case, a bare key has ""."""

    type: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceFlag:
    """`RUN --device`: a CDI name, a kind or a class. One that is not `required` may be missing."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[MountFlag, ...] = ()
    network: str = ""
    security: str = ""
    devices: tuple[DeviceFlag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY and ADD. A heredoc source stands in `heredocs`, not in `sources`."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    is_add: bool = False
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False  # `ENV key value`


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(Instruction):
    """`test` is Docker's list (["NONE"], ["CMD", ...], ["CMD-SHELL", text]); durations in ns, 0 = default."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """`trigger` is the instruction's text, parsed when a build starts from the image."""

    trigger: str
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`index` counts from 0; `name` is lower case, "" when it has none."""

    index: int
    base: From
    steps: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        return self.base.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    directives: dict[str, str]
    escape: str
    source: str
    name: str = "Dockerfile"
