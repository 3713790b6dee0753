"""Attestations in an archive: what the index of an OCI layout says about its images, read so that it can be said again.

A statement about an image's manifest in the archive is about the image: its manifest at a registry, where layers are packed otherwise,
has another digest. Such a statement is kept without its subject (see `attesting`). What is malformed is left out: an image does not
depend on it.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from corten.errors import Invalid, Unsupported
from corten.ids import ImageId
from corten.oci import manifest as oci
from corten.oci.digest import hex_of, sha256_digest
from corten.store.archive.attesting import IN_TOTO, SLSA, Sboms, Statement, stored_sboms
from corten.store.origins import StoredManifest

MOST: Final = 200
"""Attestations of an archive, and statements of each: a hostile one may list the same thing without end."""
_NAMES: Final = {"https://spdx.dev/Document": "sbom"}


def attested_configs(documents: Mapping[str, bytes]) -> dict[str, list[Statement]]:
    """The statements by the digest of the config of the image that they are about. `documents` by member name."""
    found: dict[str, list[Statement]] = {}
    for entry in islice(_attestations(documents), MOST):
        subject = (entry.annotations or {}).get(oci.ATTESTATION_SUBJECT, "")
        image = _manifest(documents, subject)
        if image is not None:
            found.setdefault(image.config.digest, []).extend(islice(_statements(documents, entry.digest, subject), MOST))
    return found


def as_attachments(statements: list[Statement], image: ImageId) -> Iterator[StoredManifest]:
    """One for the newest provenance, one for all that is no provenance."""
    kinds = {predicate: media_type for media_type, predicate in SLSA.items()}
    for statement in statements:
        if statement.type in kinds:
            raw = bytes(statement.predicate)
            yield StoredManifest(sha256_digest(raw), image, kinds[statement.type], raw)
    if others := [statement for statement in statements if statement.type not in kinds]:
        yield stored_sboms(Sboms("", others), image)


def _attestations(documents: Mapping[str, bytes]) -> Iterator[oci.Descriptor]:
    """The entries that are one, each once, of the index and of those that it lists."""
    pending, seen = ["index.json"], set[str]()
    while pending:
        index = _parsed(documents, pending.pop(), oci.OCI_INDEX)
        for entry in index.manifests if isinstance(index, oci.Index) else ():
            if (name := _member(entry.digest)) in seen or name not in documents:
                continue
            seen.add(name)
            if entry.is_attestation:
                yield entry
            elif entry.media_type in (oci.OCI_INDEX, oci.DOCKER_INDEX):
                pending.append(name)


def _manifest(documents: Mapping[str, bytes], digest: str) -> oci.Manifest | None:
    parsed = _parsed(documents, _member(digest), oci.OCI_MANIFEST)
    return parsed if isinstance(parsed, oci.Manifest) else None


def _parsed(documents: Mapping[str, bytes], name: str, media_type: str) -> oci.Index | oci.Manifest | None:
    try:
        return oci.parse_manifest(documents[name], media_type) if name in documents else None
    except (Invalid, Unsupported):
        return None


def _statements(documents: Mapping[str, bytes], digest: str, subject: str) -> Iterator[Statement]:
    manifest = _manifest(documents, digest)
    for number, layer in enumerate(manifest.layers if manifest else ()):
        raw = documents.get(_member(layer.digest)) if layer.media_type == IN_TOTO else None
        try:
            found = msgspec.json.decode(raw or b"", type=_Read)
        except msgspec.DecodeError:
            continue
        about = [one.get("digest") for one in found.subject]
        is_image = all(digests == {"sha256": subject.partition(":")[2]} for digests in about)
        name = f"{_NAMES.get(found.type, 'statement')}{f'-{number}' if number else ''}.spdx.json"
        yield Statement(name=name, type=found.type, predicate=found.predicate, subject=[] if is_image else found.subject)


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    type: str = msgspec.field(name="predicateType")
    predicate: msgspec.Raw
    subject: list[dict[str, Any]] = []


def _member(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"
