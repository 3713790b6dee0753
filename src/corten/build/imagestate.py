"""A stage's image while it is built: layers, config, variables in scope. Each instruction makes a new value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from corten.build.dockerfile.expand import Expander
from corten.ids import DiffId
from corten.oci.digest import sha256_digest
from corten.oci.image import History, ImageConfig, RunConfig

DEFAULT_SHELL = ("/bin/sh", "-c")
PROXY_ARGS = frozenset(
    name for base in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY") for name in (base, base.lower())
)
SCAN_STAGE, SCAN_CONTEXT = "BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"
"""ARGs that say what an SBOM looks at; instructions do not see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageState:
    """`key` is the cache key of the steps so far: the same key means the same files. `args` are the ARGs in scope, None = not set."""

    key: str
    layers: tuple[DiffId, ...] = ()
    config: RunConfig = field(default_factory=RunConfig)
    base: ImageConfig = field(default_factory=ImageConfig)
    history: tuple[History, ...] = ()
    args: Mapping[str, str | None] = field(default_factory=dict)
    args_above_env: frozenset[str] = frozenset()  # declared after an ENV of that name: the later one wins
    escape: str = "\\"
    has_cmd: bool = False  # CMD stood in this stage: ENTRYPOINT leaves it
    known_env: Mapping[str, str] | None = None  # what `config.env` says, once it was read

    @property
    def env(self) -> dict[str, str]:
        if self.known_env is not None:
            return dict(self.known_env)
        pairs = (pair.partition("=") for pair in self.config.env or [])
        return {name: value for name, _, value in pairs}

    def with_env(self, found: Mapping[str, str]) -> "ImageState":
        """With `found` set, what was there before in its place. Thousands of variables, one by one, take seconds, not minutes."""
        before = self.env
        if not any(name in before for name in found):
            pairs = [*(self.config.env or ()), *(f"{name}={value}" for name, value in found.items())]
        else:
            pairs = [f"{name}={value}" for name, value in (before | dict(found)).items()]
        return replace(self.with_config(env=pairs), known_env=before | dict(found))

    @property
    def shell(self) -> tuple[str, ...]:
        return tuple(self.config.shell or DEFAULT_SHELL)

    @property
    def workdir(self) -> str:
        return self.config.working_dir or "/"

    @property
    def variables(self) -> dict[str, str]:
        """As instructions and RUN see them."""
        args = {name: value for name, value in self.args.items() if value is not None and name not in (SCAN_STAGE, SCAN_CONTEXT)}
        return args | self.env | {name: args[name] for name in self.args_above_env if name in args}

    def expander(self) -> Expander:
        return Expander(self.variables, escape=self.escape)

    @property
    def fingerprint(self) -> str:
        """Names files and config so far: the cache key and the last entry of the history."""
        return sha256_digest(repr((self.key, len(self.history), self.history[-1:])).encode())

    def with_config(self, **changes: object) -> "ImageState":
        """`changes` are fields of RunConfig."""
        return replace(self, known_env=None if "env" in changes else self.known_env, config=msgspec.structs.replace(self.config, **changes))

    def noted(self, created_by: str, created: str, *, empty: bool = True) -> "ImageState":
        entry = History(created=created, created_by=created_by, comment="buildkit.dockerfile.v0", empty_layer=empty)
        return replace(self, history=(*self.history, entry))

    def with_layer(self, key: str, layer: DiffId | None) -> "ImageState":
        """After a step that may have made files. None: it changed nothing."""
        return replace(self, key=key, layers=(*self.layers, layer) if layer else self.layers)


def step_key(parent: str, *parts: object) -> str:
    """The cache key of a step with these `parts` on top of `parent`."""
    return hashlib.sha256(repr((parent, *parts)).encode()).hexdigest()
