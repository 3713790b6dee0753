"""Attestations of our own images, made when an image is pushed: only then its manifest has the digest that a statement is about.

    index ─┬─ manifest of the image
           └─ manifest "unknown/unknown", vnd.docker.reference.digest = the image's ── layer: in-toto statement about that digest

That is how BuildKit lays them out, so that `docker buildx imagetools inspect` and policy engines find them.
"""

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from corten.ids import Digest
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

PREDICATE: Final = "application/vnd.corten.provenance+json"
"""An attachment of an image: the predicate alone, without the statement around it."""
SLSA: Final = "https://slsa.dev/provenance/v0.2"
_STATEMENT: Final = "application/vnd.in-toto+json"


class Attested(msgspec.Struct, frozen=True):
    """`blobs` are the statement and a config, `manifest` names them, `index` lists the image's manifest and that one."""

    blobs: Sequence[StoredManifest]
    manifest: StoredManifest
    index: StoredManifest


def attest(image: Image, manifest: StoredManifest, reference: Reference, predicate: bytes) -> Attested:
    """The same of the same."""
    statement = _statement(manifest.digest, reference, image, predicate)
    config = json.dumps(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256_digest(statement)]},
        },
        separators=(",", ":"),
    ).encode()
    layer = Descriptor(
        media_type=_STATEMENT, digest=sha256_digest(statement), size=len(statement), annotations={"in-toto.io/predicate-type": SLSA}
    )
    top = Descriptor(media_type=OCI_CONFIG, digest=sha256_digest(config), size=len(config))
    raw = encode(Manifest(schema_version=2, media_type=OCI_MANIFEST, config=top, layers=[layer]))
    about = {ATTESTATION_SUBJECT: manifest.digest, ATTESTATION_TYPE: "attestation-manifest"}
    here = PlatformFields(architecture=image.config.architecture, os=image.config.os or "linux", variant=image.config.variant)
    entries = [
        Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=len(manifest.raw), platform=here),
        Descriptor(
            media_type=OCI_MANIFEST,
            digest=sha256_digest(raw),
            size=len(raw),
            annotations=about,
            platform=PlatformFields(architecture="unknown", os="unknown"),
        ),
    ]
    index = encode(Index(schema_version=2, media_type=OCI_INDEX, manifests=entries))
    return Attested(
        [_stored(statement, image, _STATEMENT), _stored(config, image, OCI_CONFIG)],
        _stored(raw, image, OCI_MANIFEST),
        _stored(index, image, OCI_INDEX),
    )


def _stored(raw: bytes, image: Image, media_type: str) -> StoredManifest:
    return StoredManifest(sha256_digest(raw), image.id, media_type, raw)


def _statement(digest: Digest, reference: Reference, image: Image, predicate: bytes) -> bytes:
    platform = f"{image.config.os or 'linux'}/{image.config.architecture}"
    subject = f"pkg:docker/{quote(reference.familiar_name, safe='/')}@{reference.tag}?platform={quote(platform, safe='')}"
    found: dict[str, Any] = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": SLSA,
        "subject": [{"name": subject, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicate": msgspec.Raw(predicate),
    }
    return msgspec.json.encode(found)
