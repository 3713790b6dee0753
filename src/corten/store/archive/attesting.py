"""Attestations of our own images, made when an image is pushed or saved: only then its manifest has the digest that they are about.

    index ─┬─ manifest of the image
           └─ manifest "unknown/unknown", vnd.docker.reference.digest = the image's ─┬─ layer: in-toto statement about that digest
                                                                                     └─ …

That is how BuildKit lays them out, so that `docker buildx imagetools inspect` and policy engines find them. What a build said about its
image is kept as attachments: predicates, without the digest that they will be about.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from corten.ids import Digest, ImageId
from corten.oci.digest import sha256_digest
from corten.oci.manifest import (
    ATTESTATION_SUBJECT,
    ATTESTATION_TYPE,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    PlatformFields,
    encode,
)
from corten.oci.reference import Reference
from corten.store.images import Image
from corten.store.origins import StoredManifest

PROVENANCE: Final = "application/vnd.corten.provenance+json"
PROVENANCE_V1: Final = "application/vnd.corten.provenance.v1+json"
"""Attachments of an image: the predicate alone, of SLSA v0.2 and v1."""
SBOMS: Final = "application/vnd.corten.sboms+json"
"""An attachment: `Sboms`."""
SPDX: Final = "https://spdx.dev/Document"
SLSA: Final = {PROVENANCE: "https://slsa.dev/provenance/v0.2", PROVENANCE_V1: "https://slsa.dev/provenance/v1"}
SAID: Final = (*SLSA, SBOMS)
IN_TOTO: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v0.1"


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is its file's in an output folder. An empty `subject` stands for the image."""

    name: str
    type: str
    predicate: msgspec.Raw
    subject: list[dict[str, Any]] = []


class Sboms(msgspec.Struct, frozen=True):
    """`recipe` says what made them of which files; "" when that is not known."""

    recipe: str
    statements: list[Statement]


class Attested(msgspec.Struct, frozen=True):
    """`blobs` are the statements and a config, `manifest` names them, `index` lists the image's manifest and that one."""

    blobs: Sequence[StoredManifest]
    manifest: StoredManifest
    index: StoredManifest


def statements_of(attachments: Iterable[StoredManifest]) -> list[Statement]:
    """What builds of ours said about an image, in BuildKit's order: SBOMs, the result's own first, then provenance."""
    found: list[Statement] = []
    provenance: list[Statement] = []
    for one in attachments:
        if one.media_type == SBOMS:
            found += read_sboms(one.raw).statements
        elif one.media_type in SLSA:
            provenance.append(Statement(name="provenance.json", type=SLSA[one.media_type], predicate=msgspec.Raw(one.raw)))
    return [*found, *provenance]


def read_sboms(raw: bytes) -> Sboms:
    return msgspec.json.decode(raw, type=Sboms)


def stored_sboms(sboms: Sboms, image: ImageId) -> StoredManifest:
    """As an attachment."""
    raw = msgspec.json.encode(sboms)
    return StoredManifest(sha256_digest(raw), image, SBOMS, raw)


def attest(image: Image, manifest: StoredManifest, names: Sequence[Reference], statements: Sequence[Statement]) -> Attested:
    """The same of the same. `names` are those that the image goes by where it is sent."""
    self = _subjects(image, manifest.digest, names)
    documents = [encode_statement(one, self) for one in statements]
    config = json.dumps(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256_digest(document) for document in documents]},
        },
        separators=(",", ":"),
    ).encode()
    layers = [
        Descriptor(
            media_type=IN_TOTO,
            digest=sha256_digest(document),
            size=len(document),
            annotations={"in-toto.io/predicate-type": one.type},
        )
        for document, one in zip(documents, statements, strict=True)
    ]
    top = Descriptor(media_type=OCI_CONFIG, digest=sha256_digest(config), size=len(config))
    raw = encode(Manifest(schema_version=2, media_type=OCI_MANIFEST, config=top, layers=layers))
    return Attested(
        [*(_stored(document, image.id, IN_TOTO) for document in documents), _stored(config, image.id, OCI_CONFIG)],
        _stored(raw, image.id, OCI_MANIFEST),
        _stored(_index(image, manifest, raw), image.id, OCI_INDEX),
    )


def encode_statement(statement: Statement, image: list[dict[str, Any]]) -> bytes:
    """`image`: the subjects of a statement that is about the whole image."""
    found = {
        "_type": _STATEMENT,
        "predicateType": statement.type,
        "subject": statement.subject or image,
        "predicate": statement.predicate,
    }
    return msgspec.json.encode(found)


def _index(image: Image, manifest: StoredManifest, attestation: bytes) -> bytes:
    here = PlatformFields(architecture=image.config.architecture, os=image.config.os or "linux", variant=image.config.variant)
    entries = [
        Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=len(manifest.raw), platform=here),
        Descriptor(
            media_type=OCI_MANIFEST,
            digest=sha256_digest(attestation),
            size=len(attestation),
            annotations={ATTESTATION_SUBJECT: manifest.digest, ATTESTATION_TYPE: "attestation-manifest"},
            platform=PlatformFields(architecture="unknown", os="unknown"),
        ),
    ]
    return encode(Index(schema_version=2, media_type=OCI_INDEX, manifests=entries))


def _stored(raw: bytes, image: ImageId, media_type: str) -> StoredManifest:
    return StoredManifest(sha256_digest(raw), image, media_type, raw)


def _subjects(image: Image, digest: Digest, names: Sequence[Reference]) -> list[dict[str, Any]]:
    platform = f"{image.config.os or 'linux'}/{image.config.architecture}"
    purls = [f"pkg:docker/{quote(name.familiar_name, safe='/:')}@{name.tag}?platform={quote(platform, safe='')}" for name in names]
    return [{"name": purl, "digest": {"sha256": digest.removeprefix("sha256:")}} for purl in purls or ["_"]]
