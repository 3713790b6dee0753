"""A stage while it is built: its layers, its config, the variables in scope. One value, replaced instruction by instruction."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from corten.build.dockerfile.expand import Expander
from corten.ids import DiffId
from corten.oci.digest import sha256_digest
from corten.oci.image import History, ImageConfig, RunConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")
PROXY_ARGS = frozenset(
    name for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY") for name in (base, base.lower())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`key` names the recipe so far: the same key means the same files. `args` are the ARGs in scope, None = declared, not set."""

    key: str
    layers: tuple[DiffId, ...] = ()
    config: RunConfig = field(default_factory=RunConfig)
    base: ImageConfig = field(default_factory=ImageConfig)
    history: tuple[History, ...] = ()
    args: Mapping[str, str | None] = field(default_factory=dict)
    args_above_env: frozenset[str] = frozenset()  # declared after an ENV of that name: the later one wins
    escape: str = "\\"
    has_cmd: bool = False  # CMD stood in this stage: ENTRYPOINT leaves it

    @property
    def env(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.config.env or [])
        return {name: value for name, _, value in pairs}

    @property
    def shell(self) -> tuple[str, ...]:
        return tuple(self.config.shell or DEFAULT_SHELL)

    @property
    def workdir(self) -> str:
        return self.config.working_dir or "/"

    @property
    def variables(self) -> dict[str, str]:
        """As instructions and RUN see them."""
        args = {name: value for name, value in self.args.items() if value is not None}
        return args | self.env | {name: args[name] for name in self.args_above_env if name in args}

    def expander(self) -> Expander:
        return Expander(self.variables, escape=self.escape)

    @property
    def state(self) -> str:
        """Names files and config: the same for drafts that make the same image, history aside."""
        return sha256_digest(repr((self.layers, self.config)).encode())

    def with_config(self, **changes: object) -> "Draft":
        """`changes` are fields of RunConfig."""
        return replace(self, config=msgspec.structs.replace(self.config, **changes))

    def noted(self, created_by: str, created: str, *, empty: bool = True) -> "Draft":
        entry = History(created=created, created_by=created_by, comment="buildkit.dockerfile.v0", empty_layer=empty)
        return replace(self, history=(*self.history, entry))

    def with_layer(self, key: str, layer: DiffId | None) -> "Draft":
        """After a step that may have made files. None: it changed nothing."""
        return replace(self, key=key, layers=(*self.layers, layer) if layer else self.layers)


def step_key(parent: str, *parts: object) -> str:
    """The recipe that adds `parts` to `parent`."""
    return hashlib.sha256(repr((parent, *parts)).encode()).hexdigest()
