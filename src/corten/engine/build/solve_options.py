"""Options of a solve that are no query parameters: entitlements, SSH agents, named contexts, attestations, caches, subrequests."""

import os
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from corten.build.files.git import is_git
from corten.build.options import BuildOptions
from corten.build.steps.ca_certificates import host_bundle
from corten.build.steps.entitlements import check_entitlements
from corten.errors import Invalid, Unsupported


class SolveOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a build is asked for besides its query parameters, as `options.json` of a multipart request has it and BuildKit's SolveOpt.

    `ssh`: agent sockets on the engine's machine by id. `contexts`: named contexts that are no folders (docker-image://, URLs).

    `provenance` and `sbom` are those flags' fields, none for none. `ca` "" leaves it to the engine's configuration. `cache_to` and
    `cache_from` are the fields of each such flag; folders in them are on the engine's machine.
    """

    no_cache_filter: list[str] = []
    allow: list[str] = []
    ssh: dict[str, str] = {}
    contexts: dict[str, str] = {}
    call: Literal["build", "check", "outline", "targets"] = "build"
    check_reproducible: bool = False
    reproducible: bool = False
    ca: str = ""
    provenance: dict[str, str] = {}
    sbom: dict[str, str] = {}
    cache_to: list[dict[str, str]] = []
    cache_from: list[dict[str, str]] = []


@dataclass(frozen=True, slots=True)
class BuildDefaults:
    """What daemon.json says of every build: its certificate authorities (`build-ca`), whether it is reproducible."""

    ca: str = ""
    reproducible: bool = False


def with_solve_options(options: BuildOptions, given: SolveOptions, defaults: BuildDefaults) -> BuildOptions:
    """Raises Invalid for an unknown entitlement or value of `--ca`."""
    check_entitlements(given.allow)
    stages = tuple(name.lower() for name in given.no_cache_filter)
    reproducible = options.reproducible or given.reproducible or given.check_reproducible or defaults.reproducible
    ca = _bundle(given.ca or defaults.ca)
    return replace(options, no_cache_stages=stages, entitlements=frozenset(given.allow), ca=ca, reproducible=reproducible)


def _bundle(wanted: str) -> str:
    if wanted in ("", "none"):
        return ""
    if wanted == "host":
        return host_bundle(os.environ)
    raise Invalid(f'invalid value {wanted!r} for --ca: "host" or "none"', reason="bad-ca")


def named_images(given: SolveOptions) -> dict[str, str]:
    """The named contexts that are images, by name. Raises Unsupported for kinds that are not served."""
    found = {}
    for name, source in given.contexts.items():
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


def remote_contexts(given: SolveOptions) -> dict[str, str]:
    """The named contexts that are to be fetched, by name."""
    return {name: source for name, source in given.contexts.items() if _is_remote(source)}


def _is_remote(source: str) -> bool:
    return is_git(source) or source.startswith(("http://", "https://"))
