"""What a build is asked for, and what it gives: values between the API and the builder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from corten.ids import ImageId
from corten.oci.reference import Reference
from corten.registry.auth import Credentials

if TYPE_CHECKING:
    from corten.build.options import BuildOptions
    from corten.engine.build.contexts.source import ContextSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """`id` is the client's, for `cancel`. `dockerfile` is its path in the context; `remote` the URL that the context comes from, or "".

    `explain` gets the Dockerfile's text once it is known, for errors. `credentials` by registry domain. `cache_from`: as `SolveOptions`
    has it.
    """

    options: "BuildOptions"
    source: "ContextSource"
    id: str = ""
    dockerfile: str = "Dockerfile"
    remote: str = ""
    tags: Sequence[Reference] = ()
    explain: Callable[[str], None] = lambda text: None
    credentials: dict[str, Credentials] = field(default_factory=dict)
    cache_from: Sequence[dict[str, str]] = ()


class BuildResult(NamedTuple):
    """`image` is "" for a subrequest; `is_new`: there was no such image before. `provenance` is for the client, in JSON."""

    image: ImageId
    is_new: bool = False
    provenance: bytes = b""
