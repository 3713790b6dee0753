"""Options of a build, and the interfaces that the engine implements for it: images, executor, secrets, SSH agents."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from corten.build.files.tree import Tree
from corten.ids import DiffId
from corten.oci.image import ImageConfig
from corten.units import TRUE

OLDEST_EPOCH = 315532800
"""1980-01-01, the first date that zip and FAT can tell: the epoch of a reproducible build where nothing gives a better one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a RUN step may use; 0 and "" = not limited. Bytes (`memory_swap` is memory and swap together, -1 = unlimited), microseconds."""

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Sizes in bytes. `epoch` (seconds) is SOURCE_DATE_EPOCH. A reproducible build without one takes the base image's creation time.

    `ca` is the path of a bundle of certificate authorities that RUN steps shall trust; "" leaves them alone.
    """

    target: str = ""
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    pull: bool = False
    platform: str = "linux/amd64"
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[tuple[str, int, int], ...] = ()  # name, soft, hard
    epoch: int | None = None
    reproducible: bool = False
    parallel: int = 2
    entitlements: frozenset[str] = frozenset()
    ca: str = ""
    limits: Limits = Limits()

    @property
    def has_one_time(self) -> bool:
        """All files and the image get the build's epoch; else each its own time."""
        return self.reproducible or self.epoch is not None

    @property
    def hostname(self) -> str:
        """Of RUN steps, "" for the usual one."""
        return self._given("BUILDKIT_SANDBOX_HOSTNAME")

    @property
    def cache_namespace(self) -> str:
        """What the ids of cache mounts begin with."""
        return self._given("BUILDKIT_CACHE_MOUNT_NS")

    @property
    def frontend(self) -> str:
        """What stands in the place of `# syntax=`."""
        return self._given("BUILDKIT_SYNTAX")

    @property
    def keep_git_dir(self) -> bool:
        """Contexts from git keep their `.git`."""
        return self._given("BUILDKIT_CONTEXT_KEEP_GIT_DIR").lower() in TRUE

    @property
    def inline_cache(self) -> bool:
        return self._given("BUILDKIT_INLINE_CACHE").lower() in TRUE

    def _given(self, name: str) -> str:
        """BuildKit's own build arguments steer the build; an ARG may read them all the same."""
        return self.build_args.get(name) or ""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What FROM or `COPY --from` an image resolved to."""

    reference: str
    id: str
    config: ImageConfig
    layers: tuple[DiffId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount:
    """A host path to be bound into a RUN step."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """A RUN step as a process: `snapshot` is its root's key, `devices` are CDI names."""

    snapshot: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    network: str
    mounts: tuple[BindMount, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[tuple[str, int, int], ...] = ()
    privileged: bool = False
    limits: Limits = Limits()
    hostname: str = ""
    devices: tuple[str, ...] = ()


class ImageResolver(Protocol):
    """Where base images come from."""

    async def resolve(self, reference: str, *, pull: bool, platform: str) -> BaseImage:
        """Raises NotFound in Docker's words."""
        ...


class DeviceList(Protocol):
    """The CDI devices of this machine."""

    def known(self) -> Mapping[str, Mapping[str, str]]:
        """Annotations by qualified name, in order."""
        ...

    def targets(self, names: Sequence[str]) -> list[str]:
        """The paths that these bring into a root."""
        ...


class Executor(Protocol):
    """Runs RUN steps."""

    @property
    def devices(self) -> DeviceList: ...

    async def run(self, job: RunJob, output: Callable[[str, bytes], None]) -> int:
        """The exit status. `output(stream, data)` gets "stdout" and "stderr" as they come. Cancelling kills the process."""
        ...


class SecretStore(Protocol):
    """Where secrets come from: what came with the request, or a client's session."""

    async def find(self, secret_id: str) -> bytes | None: ...


class SSHAgents(Protocol):
    """SSH agents of `--ssh`: sockets on this machine, or channels of a client's session."""

    async def connect(self, agent_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A fresh connection; None when no agent has that id. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class NoSecrets:
    """`SecretStore` and `SSHAgents` of a build that was given none."""

    async def find(self, secret_id: str) -> bytes | None:
        return None

    async def connect(self, agent_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """`context` is the main one; `named` those of `--build-context`: files, or the reference of an image."""

    context: Tree | None
    named: Mapping[str, Tree | str] = field(default_factory=dict)
    images: ImageResolver
    secrets: SecretStore = field(default_factory=NoSecrets)
    agents: SSHAgents = field(default_factory=NoSecrets)
