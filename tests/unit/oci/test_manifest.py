import json

import pytest

from corten.errors import Invalid, Unsupported
from corten.oci import manifest as oci
from corten.oci.digest import hex_of, parse_digest, sha256_digest
from corten.oci.distribution import parse_errors
from corten.oci.whiteout import is_private_xattr, whiteout_name, whiteout_target

D = "sha256:" + "a" * 64
CONFIG = {"mediaType": oci.OCI_CONFIG, "digest": D, "size": 3}


def test_manifest_and_index_are_told_apart_by_their_fields() -> None:
    image = oci.parse_manifest(json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": []}).encode())
    assert isinstance(image, oci.Manifest)
    index = oci.parse_manifest(
        json.dumps({"schemaVersion": 2, "manifests": [CONFIG | {"platform": {"os": "linux", "architecture": "arm64"}}]}).encode()
    )
    assert isinstance(index, oci.Index)
    assert index.manifests[0].platform is not None
    assert str(index.manifests[0].platform.normalised()) == "linux/arm64"


def test_attestations_are_known_by_their_annotation() -> None:
    annotated = CONFIG | {"annotations": {oci.ATTESTATION_TYPE: "attestation-manifest"}}
    index = oci.parse_manifest(json.dumps({"schemaVersion": 2, "manifests": [annotated]}).encode())
    assert isinstance(index, oci.Index)
    assert index.manifests[0].is_attestation


def test_schema_1_is_refused_with_a_hint() -> None:
    with pytest.raises(Unsupported) as error:
        oci.parse_manifest(b'{"schemaVersion": 1, "fsLayers": []}')
    assert error.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"schemaVersion": 2, "config": CONFIG, "layers": [], "manifests": []},
        {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "config": CONFIG, "layers": []},
        {"schemaVersion": 2, "mediaType": oci.DOCKER_MANIFEST, "manifests": []},
        {"schemaVersion": 2},
        {"schemaVersion": 2, "config": CONFIG | {"digest": "sha256:zz"}, "layers": []},
        {"schemaVersion": 2, "config": CONFIG | {"size": -1}, "layers": []},
        {"schemaVersion": 2, "config": CONFIG, "layers": [{"digest": D}]},
        [],
    ],
)
def test_confused_manifests_are_refused(fields: object) -> None:
    with pytest.raises(Invalid):
        oci.parse_manifest(json.dumps(fields).encode())


def test_a_bottomless_manifest_is_refused() -> None:
    with pytest.raises(Invalid, match="invalid manifest"):
        oci.parse_manifest(b"[" * 1_000_000)


def test_an_endless_manifest_is_refused() -> None:
    with pytest.raises(Invalid, match="limit"):
        oci.parse_manifest(b" " * (oci.MAX_MANIFEST_BYTES + 1))


def test_what_is_encoded_is_parsed() -> None:
    config = oci.Descriptor(media_type=oci.OCI_CONFIG, digest=D, size=1)
    document = oci.Manifest(schema_version=2, media_type=oci.OCI_MANIFEST, config=config, layers=[config])
    assert oci.parse_manifest(oci.encode(document)) == document


def test_digests() -> None:
    assert sha256_digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert hex_of(parse_digest(D)) == "a" * 64
    for text in ("", "sha256", f"sha256:{'A' * 64}", "sha256:aa", "sha999:aa", f"sha512:{'a' * 64}"):
        with pytest.raises(Invalid):
            parse_digest(text)


def test_whiteout_names() -> None:
    assert whiteout_target(b".wh.foo") == b"foo"
    assert whiteout_target(b".wh..hidden") == b".hidden"
    for name in (b"foo", b".wh.", b".wh..wh..opq", b".wh..wh.plnk"):
        assert whiteout_target(name) is None
    assert whiteout_name(b"x") == b".wh.x"
    assert is_private_xattr(b"trusted.overlay.opaque")
    assert not is_private_xattr(b"user.overlayish")


def test_registry_errors() -> None:
    assert (
        str(parse_errors(b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')[0])
        == "manifest unknown: manifest unknown"
    )
    assert [e.message for e in parse_errors(b"<html>no</html>")] == ["<html>no</html>"]
    assert [e.message for e in parse_errors(b'{"details":"slow down"}')] == ["slow down"]
    assert parse_errors(b"") == []
