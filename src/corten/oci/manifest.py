"""Manifests and indexes: Docker schema 2 and OCI, one pair of structs for both spellings (they differ in media types only).

A manifest's digest is that of its bytes: callers keep the bytes, these structs are what is understood of them.
"""

from typing import Any, Final

import msgspec

from corten.errors import Invalid, Unsupported
from corten.ids import Digest
from corten.oci.digest import parse_digest
from corten.oci.platform import Platform, normalise

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_SCHEMA_1 = ("application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws")

INDEXES: Final = frozenset((OCI_INDEX, DOCKER_INDEX))
MANIFESTS: Final = frozenset((OCI_MANIFEST, DOCKER_MANIFEST))
ACCEPTED: Final = (OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST)
"""What to write into an Accept header, best first."""

MAX_MANIFEST_BYTES: Final = 4 << 20
ATTESTATION_TYPE: Final = "vnd.docker.reference.type"
ATTESTATION_SUBJECT: Final = "vnd.docker.reference.digest"


class PlatformFields(msgspec.Struct, frozen=True, rename={"os_version": "os.version", "os_features": "os.features"}, omit_defaults=True):
    architecture: str = ""
    os: str = ""
    os_version: str = ""
    os_features: list[str] | None = None
    variant: str = ""

    def normalised(self) -> Platform:
        return normalise(self.os, self.architecture, self.variant, self.os_version)


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    media_type: str
    digest: str
    size: int
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    platform: PlatformFields | None = None
    artifact_type: str = ""
    data: str = ""

    @property
    def is_attestation(self) -> bool:
        return (self.annotations or {}).get(ATTESTATION_TYPE) == "attestation-manifest"


class Manifest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    schema_version: int
    media_type: str = ""
    config: Descriptor
    layers: list[Descriptor]
    annotations: dict[str, str] | None = None
    artifact_type: str = ""
    subject: Descriptor | None = None


class Index(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    schema_version: int
    media_type: str = ""
    manifests: list[Descriptor]
    annotations: dict[str, str] | None = None


def parse_manifest(data: bytes, media_type: str = "") -> Manifest | Index:
    """The manifest or index in `data`, told apart by its fields, checked against `media_type` when that is known.

    Raises Invalid for malformed ones and Unsupported for schema 1.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise Invalid(f"manifest of {len(data)} bytes: the limit is {MAX_MANIFEST_BYTES}", reason="bad-manifest")
    try:
        fields: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"invalid manifest: {error}", reason="bad-manifest") from error
    if not isinstance(fields, dict):
        raise Invalid("invalid manifest: not a JSON object", reason="bad-manifest")
    said = fields.get("mediaType") or media_type
    if fields.get("schemaVersion") == 1 or said in _SCHEMA_1:
        raise Unsupported(
            "the image uses Docker's manifest schema 1, which registries and engines gave up",
            reason="schema1",
            hint="pull and push it once with an old Docker (before 26), which rewrites it",
        )
    is_index = "manifests" in fields
    if is_index == ("layers" in fields or "config" in fields) or (is_index and said in MANIFESTS) or (not is_index and said in INDEXES):
        raise Invalid(f"invalid manifest: its fields do not fit its media type {said!r}", reason="bad-manifest")
    try:
        found: Manifest | Index = msgspec.convert(fields, Index) if is_index else msgspec.convert(fields, Manifest)
    except msgspec.ValidationError as error:
        raise Invalid(f"invalid manifest: {error}", reason="bad-manifest") from error
    for descriptor in found.manifests if isinstance(found, Index) else (found.config, *found.layers):
        _check(descriptor)
    return found


def encode(document: Manifest | Index) -> bytes:
    return msgspec.json.encode(document)


def _check(descriptor: Descriptor) -> None:
    parse_digest(descriptor.digest)
    if descriptor.size < 0:
        raise Invalid(f"invalid manifest: {descriptor.digest} has size {descriptor.size}", reason="bad-manifest")


def digest_of(descriptor: Descriptor) -> Digest:
    return Digest(descriptor.digest)
