"""Attestations: what an index says about one of its images (provenance, SBOM), kept with the image and sent along with it.

Each is a manifest of its own whose layers are small JSON statements.
"""

from collections.abc import Iterator
from typing import Final

from corten.errors import Invalid, NotFound
from corten.ids import Digest, ImageId
from corten.oci.manifest import ATTESTATION_SUBJECT, Descriptor, Index, Manifest, parse_manifest
from corten.registry.client import Repository
from corten.store.origins import StoredManifest

MOST_BYTES: Final = 32 << 20
"""Of all attestations of one image; what is larger stays at the registry."""


def attested(index: Index, subject: str) -> list[Descriptor]:
    """The index's entries about the manifest `subject`."""
    return [d for d in index.manifests if d.is_attestation and (d.annotations or {}).get(ATTESTATION_SUBJECT) == subject]


def fetch_attestations(repository: Repository, index: Index, subject: str, image: ImageId) -> Iterator[StoredManifest]:
    """Manifest, config and statements of each. One that the registry lost, or whose bytes are wrong, is left out."""
    left = MOST_BYTES
    for descriptor in attested(index, subject):
        try:
            found = list(_fetched(repository, descriptor, image, left))
        except (NotFound, Invalid):
            continue
        left -= sum(len(one.raw) for one in found)
        yield from found


def _fetched(repository: Repository, descriptor: Descriptor, image: ImageId, left: int) -> Iterator[StoredManifest]:
    got = repository.manifest(descriptor.digest)
    parsed = parse_manifest(got.raw, got.media_type)
    if not isinstance(parsed, Manifest):
        return
    parts = [parsed.config, *parsed.layers]
    if sum(part.size for part in parts) + len(got.raw) > left:
        return
    yield StoredManifest(got.digest, image, got.media_type, got.raw)
    for part in parts:
        digest = Digest(part.digest)
        yield StoredManifest(digest, image, part.media_type, repository.blob(digest, part.size))
