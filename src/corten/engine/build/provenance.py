"""`--provenance`: what a build was made of, as the predicate of an SLSA statement (v0.2), kept with the image and pushed with it.

`mode=min` says which images it began with, when, and from which file; `mode=max` also the build arguments, the Dockerfile and the
steps. Secrets and proxies are in neither.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec

from corten.build.dockerfile import instructions as ins
from corten.build.imagestate import PROXY_ARGS
from corten.build.options import BuildOptions
from corten.build.remotecache import CacheRecord
from corten.errors import Invalid, Unsupported
from corten.ids import ImageId, random_hex64
from corten.oci.digest import sha256_digest
from corten.oci.platform import host_platform
from corten.oci.reference import parse_reference
from corten.store.archive.attesting import PROVENANCE, PROVENANCE_V1
from corten.store.origins import StoredManifest
from corten.units import FALSE, TRUE

BUILDKIT: Final = "https://mobyproject.org/buildkit@v1#metadata"
_SCRUBBED: Final = ("build-arg:", "label:")
BUILD_TYPE: Final = "urn:corten:dockerfile:v1"


@dataclass(frozen=True, slots=True)
class ProvenanceOptions:
    """`whole`: mode=max. `version` is SLSA's, "v0.2" or "v1". `reproducible` is what the user says of the build."""

    whole: bool
    builder: str = ""
    version: str = "v0.2"
    reproducible: bool = False


@dataclass(frozen=True, slots=True)
class Material:
    """An image that a build began with or copied from; `digest` is its manifest's where a registry gave one, else its id."""

    reference: str
    platform: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceCapture:
    """A build that is over; `started` in seconds since the epoch. `remote` is where the context came from, "" for the client."""

    options: BuildOptions
    dockerfile: str
    text: str
    remote: str
    started: float
    materials: Sequence[Material]
    steps: Sequence[CacheRecord]
    stages: Sequence[ins.Stage] = ()


def read_provenance_options(fields: Mapping[str, str]) -> ProvenanceOptions | None:
    """The fields of `--provenance`; None for none. Raises Invalid, Unsupported."""
    if not fields or fields.get("disabled", "").lower() in ("true", "1"):
        return None
    if unknown := sorted(set(fields) - {"mode", "builder-id", "disabled", "version", "reproducible", "inline-only"}):
        raise Unsupported(f"--provenance with {unknown[0]}= is not supported", reason="provenance-option")
    mode, version = fields.get("mode", "min"), fields.get("version", "v0.2")
    if mode not in ("min", "max", "full"):
        raise Invalid(f'invalid mode "{mode}"', reason="bad-provenance", hint="min or max")
    if version not in ("v0.2", "v1"):
        raise Invalid(f"invalid provenance SLSA version: {version}", reason="bad-provenance", hint="v0.2 or v1")
    for name in ("reproducible", "inline-only"):
        if fields.get(name, "false").lower() not in (*TRUE, *FALSE):
            raise Invalid(f'failed to parse {name} flag "{fields[name]}": true or false', reason="bad-provenance")
    return ProvenanceOptions(mode != "min", fields.get("builder-id", ""), version, fields.get("reproducible", "").lower() in TRUE)


def provenance(options: ProvenanceOptions, capture: ProvenanceCapture, image: ImageId, now: float) -> StoredManifest:
    """The predicate, as it is kept with the image."""
    raw = msgspec.json.encode(predicate(options, capture, now))
    return StoredManifest(sha256_digest(raw), image, PROVENANCE_V1 if options.version == "v1" else PROVENANCE, raw)


def provenance_summary(options: ProvenanceOptions, capture: ProvenanceCapture, now: float) -> bytes:
    """The predicate without its long parts, as buildx writes it into `--metadata-file`."""
    found = predicate(options, capture, now)
    for path in (("buildConfig",), ("metadata",), ("buildDefinition", "internalParameters", "buildConfig"), ("runDetails", "metadata")):
        inner = found
        for key in path[:-1]:
            inner = inner.get(key, {})
        inner.pop(path[-1], None)
    return msgspec.json.encode(found)


def predicate(options: ProvenanceOptions, capture: ProvenanceCapture, now: float) -> dict[str, Any]:
    found = _predicate(options, capture, now)
    return _as_v1(found) if options.version == "v1" else found


def _predicate(options: ProvenanceOptions, capture: ProvenanceCapture, now: float) -> dict[str, Any]:
    arguments = _arguments(capture.options)
    shown = arguments if options.whole else {name: value for name, value in arguments.items() if not name.startswith(_SCRUBBED)}
    return {
        "builder": {"id": options.builder},
        "buildType": BUILD_TYPE,
        "materials": [{"uri": _uri(m), "digest": {"sha256": m.digest.removeprefix("sha256:")}} for m in capture.materials],
        "invocation": {
            "configSource": {**({"uri": _without_password(capture.remote)} if capture.remote else {}), "entryPoint": capture.dockerfile},
            "parameters": _parameters(capture, shown, whole=options.whole),
            "environment": {"platform": str(host_platform())},
        },
        **({"buildConfig": _build_config(capture)} if options.whole else {}),
        "metadata": {
            "buildInvocationID": random_hex64()[:24],
            "buildStartedOn": _timestamp(capture.started),
            "buildFinishedOn": _timestamp(now),
            "completeness": {"parameters": shown == arguments, "environment": True, "materials": False},
            "reproducible": options.reproducible,
            BUILDKIT: _source(capture) if options.whole else {},
        },
    }


def _parameters(capture: ProvenanceCapture, shown: Mapping[str, str], *, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"frontend": "dockerfile.v0"}
    if shown:
        found["args"] = dict(shown)
    for kind, key in (("secret", "secrets"), ("ssh", "ssh")):
        mounts = [m.options for run in _runs(capture) for m in run.mounts if m.type == kind] if whole else []
        names = {_mount_name(options, kind): options.get("required", "").lower() not in ("true", "1") for options in mounts}
        if names:
            found[key] = [{"id": name, **({"optional": True} if optional else {})} for name, optional in sorted(names.items())]
    if not capture.remote:
        found["locals"] = [{"name": "context"}, {"name": "dockerfile"}]
    return found


def _mount_name(options: Mapping[str, str], kind: str) -> str:
    """What the build asks for; never what it is."""
    return options.get("id") or ("default" if kind == "ssh" else options.get("target", "").rpartition("/")[2])


def _runs(capture: ProvenanceCapture) -> Iterator[ins.Run]:
    return (step for stage in capture.stages for step in stage.steps if isinstance(step, ins.Run))


def _build_config(capture: ProvenanceCapture) -> dict[str, Any]:
    return {
        "dockerfile": base64.b64encode(capture.text.encode()).decode(),
        "steps": [{"name": s.name, "key": s.key, **({"layer": s.layer} if s.layer else {})} for s in capture.steps],
    }


def _source(capture: ProvenanceCapture) -> dict[str, Any]:
    """Where Docker's tools look for the Dockerfile."""
    data = base64.b64encode(capture.text.encode()).decode()
    return {"source": {"infos": [{"filename": capture.dockerfile, "language": "Dockerfile", "data": data}]}}


def _as_v1(found: dict[str, Any]) -> dict[str, Any]:
    """The same in SLSA's newer form, with BuildKit's names for what SLSA has none."""
    invocation, metadata = found["invocation"], found["metadata"]
    source = {**invocation["configSource"], "path": invocation["configSource"]["entryPoint"]}
    del source["entryPoint"]
    return {
        "buildDefinition": {
            "buildType": found["buildType"],
            "externalParameters": {"configSource": source, "request": invocation["parameters"]},
            "internalParameters": {
                "builderPlatform": invocation["environment"]["platform"],
                **({"buildConfig": found["buildConfig"]} if "buildConfig" in found else {}),
            },
            "resolvedDependencies": found["materials"],
        },
        "runDetails": {
            "builder": found["builder"],
            "metadata": {
                "invocationId": metadata["buildInvocationID"],
                "startedOn": metadata["buildStartedOn"],
                "finishedOn": metadata["buildFinishedOn"],
                "buildkit_metadata": metadata[BUILDKIT],
                "buildkit_completeness": {
                    "request": metadata["completeness"]["parameters"],
                    "resolvedDependencies": metadata["completeness"]["materials"],
                },
                **({"buildkit_reproducible": True} if metadata["reproducible"] else {}),
            },
        },
    }


def _without_password(url: str) -> str:
    """BuildKit writes xxxxx in place of both parts of a login."""
    return re.sub(r"(?<=://)[^/@]*@", "xxxxx:xxxxx@", url)


def _arguments(options: BuildOptions) -> dict[str, str]:
    given = {f"build-arg:{n}": v for n, v in options.build_args.items() if v is not None and n not in PROXY_ARGS}
    labels = {f"label:{n}": v for n, v in options.labels.items()}
    return {**given, **labels, **({"target": options.target} if options.target else {})}


def _uri(material: Material) -> str:
    """As package-url has it: `pkg:docker/NAME@TAG?platform=…`."""
    reference = parse_reference(material.reference).with_default_tag()
    name = reference.familiar_name
    return f"pkg:docker/{quote(name, safe='/:')}@{reference.digest or reference.tag}?platform={quote(material.platform, safe='')}"


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
