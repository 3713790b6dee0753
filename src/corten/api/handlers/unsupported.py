"""Operations that are refused on purpose: a handler that says why, and a table that says so in the reference pages."""

from dataclasses import dataclass

from corten.api.request import Request
from corten.errors import EngineError, Unavailable, Unsupported
from corten.http.response import Reply


@dataclass(frozen=True, slots=True)
class Refusal:
    """A handler that raises `kind`."""

    kind: type[EngineError]
    message: str
    reason: str
    hint: str

    async def __call__(self, request: Request) -> Reply:
        raise self.kind(self.message, reason=self.reason, hint=self.hint)


def unbuilt(what: str, reason: str, hint: str) -> Refusal:
    """501. `what` is the object of a sentence ("building images"), `hint` says what to do instead."""
    return Refusal(Unsupported, f"Corten does not support {what} yet: {hint}", reason, hint)


NOT_A_MANAGER = Refusal(
    Unavailable,
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    "no-swarm",
    "Corten has no swarm mode",
)
NOT_IN_SWARM = Refusal(Unavailable, "This node is not part of a swarm", "no-swarm", "Corten has no swarm mode")
NO_CLUSTER_VOLUMES = Refusal(
    Unavailable, "volume update only valid for cluster volumes, but swarm is unavailable", "no-swarm", "Corten has no swarm mode"
)
NO_SWARM_MODE = Refusal(
    Unsupported, "Corten has no swarm mode: this node cannot become part of a swarm", "no-swarm", "use compose on one host, or Kubernetes"
)
