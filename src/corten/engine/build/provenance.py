"""`--provenance`: what a build was made of, as the predicate of an SLSA statement (v0.2), kept with the image and pushed with it.

`mode=min` says which images it began with, when, and from which file; `mode=max` also the build arguments, the Dockerfile and the
steps. Secrets and proxies are in neither.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from corten.build.draft import PROXY_ARGS
from corten.build.options import BuildOptions
from corten.build.recipes import StepRecord
from corten.errors import Invalid, Unsupported
from corten.ids import ImageId, random_hex64
from corten.oci.digest import sha256_digest
from corten.oci.reference import parse_reference
from corten.store.archive.attesting import PROVENANCE
from corten.store.origins import StoredManifest

BUILD_TYPE: Final = "urn:corten:dockerfile:v1"


@dataclass(frozen=True, slots=True)
class Wish:
    """`whole`: mode=max."""

    whole: bool
    builder: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """An image that a build began with or copied from; `digest` is its manifest's where a registry gave one, else its id."""

    reference: str
    platform: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A build that is over; `started` in seconds since the epoch. `remote` is where the context came from, "" for the client."""

    options: BuildOptions
    dockerfile: str
    text: str
    remote: str
    started: float
    materials: Sequence[Material]
    steps: Sequence[StepRecord]


def read_wish(fields: Mapping[str, str]) -> Wish | None:
    """The fields of `--provenance`; None for none. Raises Invalid, Unsupported."""
    if not fields or fields.get("disabled", "").lower() in ("true", "1"):
        return None
    if unknown := sorted(set(fields) - {"mode", "builder-id", "disabled"}):
        raise Unsupported(f"--provenance with {unknown[0]}= is not supported", reason="provenance-option")
    mode = fields.get("mode", "min")
    if mode not in ("min", "max"):
        raise Invalid(f'invalid mode {mode!r} of --provenance: "min" or "max"', reason="bad-provenance")
    return Wish(mode == "max", fields.get("builder-id", ""))


def provenance(wish: Wish, made: Made, image: ImageId, now: float) -> StoredManifest:
    """The predicate, as it is kept with the image."""
    raw = msgspec.json.encode(_predicate(wish, made, now))
    return StoredManifest(sha256_digest(raw), image, PROVENANCE, raw)


def _predicate(wish: Wish, made: Made, now: float) -> dict[str, Any]:
    source: dict[str, Any] = {"uri": made.remote} if made.remote else {}
    parameters: dict[str, Any] = {"frontend": "dockerfile.v0"}
    if not made.remote:
        parameters["locals"] = [{"name": "context"}, {"name": "dockerfile"}]
    found: dict[str, Any] = {
        "builder": {"id": wish.builder},
        "buildType": BUILD_TYPE,
        "materials": [{"uri": _uri(m), "digest": {"sha256": m.digest.removeprefix("sha256:")}} for m in made.materials],
        "invocation": {
            "configSource": {**source, "entryPoint": made.dockerfile},
            "parameters": parameters,
            "environment": {"platform": made.options.platform},
        },
        "metadata": {
            "buildInvocationID": random_hex64()[:24],
            "buildStartedOn": _moment(made.started),
            "buildFinishedOn": _moment(now),
            "completeness": {"parameters": wish.whole, "environment": True, "materials": False},
            "reproducible": False,
        },
    }
    if wish.whole:
        parameters["args"] = _arguments(made.options)
        found["buildConfig"] = {
            "dockerfile": base64.b64encode(made.text.encode()).decode(),
            "steps": [{"name": s.name, "key": s.key, **({"layer": s.layer} if s.layer else {})} for s in made.steps],
        }
    return found


def _arguments(options: BuildOptions) -> dict[str, str]:
    given = {f"build-arg:{n}": v for n, v in options.build_args.items() if v is not None and n not in PROXY_ARGS}
    labels = {f"label:{n}": v for n, v in options.labels.items()}
    return {**given, **labels, **({"target": options.target} if options.target else {})}


def _uri(material: Material) -> str:
    """As package-url has it: `pkg:docker/NAME@TAG?platform=…`."""
    reference = parse_reference(material.reference).with_default_tag()
    name = reference.familiar_name
    return f"pkg:docker/{quote(name, safe='/:')}@{reference.digest or reference.tag}?platform={quote(material.platform, safe='')}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
