"""Sources of a build that came with its request: secrets in memory, agents as sockets of this machine, images behind names."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from corten.build.files.git import is_git
from corten.build.options import BuildOptions
from corten.build.steps.ca_certificates import host_bundle
from corten.build.steps.entitlements import check_entitlements
from corten.engine.build.delivery import Extras
from corten.errors import Invalid, Unavailable, Unsupported


@dataclass(frozen=True, slots=True)
class SentSecrets:
    values: Mapping[str, bytes]

    async def find(self, secret_id: str) -> bytes | None:
        return self.values.get(secret_id)


@dataclass(frozen=True, slots=True)
class LocalAgents:
    """`sockets` by id. The client runs on this machine, or it could not have named them."""

    sockets: Mapping[str, str]

    async def connect(self, agent_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        path = self.sockets.get(agent_id)
        if path is None:
            return None
        try:
            return await asyncio.open_unix_connection(path)
        except OSError as error:
            raise Unavailable(f"the SSH agent {agent_id} at {path} does not answer: {error.strerror}", reason="ssh-agent") from error


def with_extras(options: BuildOptions, extras: Extras, usual_ca: str) -> BuildOptions:
    """`usual_ca` is the engine's own `build-ca`. Raises Invalid for an entitlement or authorities that there are not."""
    check_entitlements(extras.allow)
    stages = tuple(name.lower() for name in extras.no_cache_filter)
    return replace(options, no_cache_stages=stages, entitlements=frozenset(extras.allow), ca=_bundle(extras.ca or usual_ca))


def _bundle(wanted: str) -> str:
    if wanted in ("", "none"):
        return ""
    if wanted == "host":
        return host_bundle(os.environ)
    raise Invalid(f'invalid value {wanted!r} for --ca: "host" or "none"', reason="bad-ca")


def named_images(extras: Extras) -> dict[str, str]:
    """The named contexts that are images, by name. Raises Unsupported for kinds that are not served."""
    found = {}
    for name, source in extras.contexts.items():
        if _is_remote(source):
            continue
        scheme, separator, reference = source.partition("://")
        if not separator or scheme != "docker-image":
            raise Unsupported(
                f"the build context {name}={source} is of a kind that is not supported",
                reason="context-kind",
                hint="a folder, docker-image://REFERENCE, oci-layout://FOLDER, a git repository or a URL",
            )
        found[name] = reference
    return found


def remote_contexts(extras: Extras) -> dict[str, str]:
    """The named contexts that are to be fetched, by name."""
    return {name: source for name, source in extras.contexts.items() if _is_remote(source)}


def _is_remote(source: str) -> bool:
    return is_git(source) or source.startswith(("http://", "https://"))
