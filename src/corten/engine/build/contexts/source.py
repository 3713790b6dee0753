"""Where a build's inputs come from: the one interface of all context sources.

TarContext       the body of POST /build: a tar, or a multipart request (`tar`)
LocalContext     directories of a client on this machine, read in place (`local`)
RemoteContext    a git repository or URL that the engine fetches (`remote`)
SessionContext   a BuildKit client's session (`corten.api.buildkit.session.context_source`)
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from corten.build.files.tree import Tree
from corten.build.options import NoSecrets, SecretStore, SSHAgents
from corten.engine.build.solve_options import SolveOptions
from corten.engine.build.vertices import InternalVertices
from corten.store.opened import Store


@dataclass(slots=True, kw_only=True)
class BuildInputs:
    """What a source has opened. `text` is the Dockerfile where the source has loaded it already, with the rules of the context.

    `dockerfile` and `dockerignore` came beside the context. `is_disposable`: nobody uses the context's files after the build.
    """

    context: Tree
    named: dict[str, Tree | str] = field(default_factory=dict)
    options: SolveOptions = field(default_factory=SolveOptions)
    secrets: SecretStore = field(default_factory=NoSecrets)
    agents: SSHAgents = field(default_factory=NoSecrets)
    text: str | None = None
    dockerfile: bytes | None = None
    dockerignore: bytes | None = None
    is_disposable: bool = False


class ContextSource(Protocol):
    """A build's inputs."""

    def opened(self, store: Store, vertices: InternalVertices) -> AbstractAsyncContextManager[BuildInputs]:
        """The inputs until the block is left; loading them shows as `vertices`. Raises Invalid, NotFound, Unavailable, Unsupported."""
        ...
