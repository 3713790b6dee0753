"""Attestations in archives: read when they are whole, left out when they are not."""

import json
from typing import Any

import pytest

from corten.ids import ImageId
from corten.oci import manifest as oci
from corten.oci.digest import sha256_digest
from corten.store.archive.attested import as_attachments, attested_configs
from corten.store.archive.attesting import PROVENANCE, PROVENANCE_V1, SBOMS, read_sboms, statements_of

CONFIG = b"{}"


def described(raw: bytes, media_type: str, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256_digest(raw), "size": len(raw), **more}


def manifest(*layers: dict[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": described(CONFIG, oci.OCI_CONFIG), "layers": layers}).encode()


def documents(*statements: bytes) -> dict[str, bytes]:
    image = manifest()
    attestation = manifest(*(described(raw, "application/vnd.in-toto+json") for raw in statements))
    about = {oci.ATTESTATION_TYPE: "attestation-manifest", oci.ATTESTATION_SUBJECT: sha256_digest(image)}
    entries = [described(image, oci.OCI_MANIFEST), described(attestation, oci.OCI_MANIFEST, annotations=about)]
    inner = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    top = json.dumps({"schemaVersion": 2, "manifests": [described(inner, oci.OCI_INDEX)]}).encode()
    blobs = (CONFIG, image, attestation, inner, *statements)
    return {"index.json": top, **{f"blobs/sha256/{sha256_digest(raw)[7:]}": raw for raw in blobs}}


def statement(kind: str, digest: str, predicate: object) -> bytes:
    return json.dumps({"predicateType": kind, "subject": [{"name": "x", "digest": {"sha256": digest}}], "predicate": predicate}).encode()


def test_statements_about_the_image_lose_their_subject() -> None:
    own = sha256_digest(manifest())[7:]
    said = [
        statement("https://slsa.dev/provenance/v1", own, {"a": 1}),
        statement("https://spdx.dev/Document", own, {"b": 2}),
        statement("https://example.org/other", "00", {}),
    ]
    (found,) = attested_configs(documents(*said)).values()
    assert [one.subject == [] for one in found] == [True, True, False]
    attachments = list(as_attachments(found, ImageId("sha256:x")))
    assert [one.media_type for one in attachments] == [PROVENANCE_V1, SBOMS]
    assert [one.type for one in read_sboms(attachments[1].raw).statements] == ["https://spdx.dev/Document", "https://example.org/other"]
    assert [one.type.rpartition("/")[2] for one in statements_of(attachments)] == ["Document", "other", "v1"]
    assert PROVENANCE not in [one.media_type for one in attachments]


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"predicateType": 1, "predicate": {}}', b'{"predicateType": "x"}', b'{"subject": 1, "predicate": 2}']
)
def test_what_is_no_statement_is_left_out(raw: bytes) -> None:
    assert list(attested_configs(documents(raw)).values()) in ([], [[]])


@pytest.mark.parametrize("top", [b"", b"[]", b'{"schemaVersion": 2, "manifests": [{}]}'])
def test_what_is_no_index_is_none(top: bytes) -> None:
    assert attested_configs({**documents(), "index.json": top}) == {}


def test_an_index_in_itself_has_an_end() -> None:
    digest = "sha256:" + "0" * 64
    loop = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": oci.OCI_INDEX, "digest": digest, "size": 1}] * 9999}).encode()
    assert attested_configs({"index.json": loop, f"blobs/sha256/{digest[7:]}": loop}) == {}
