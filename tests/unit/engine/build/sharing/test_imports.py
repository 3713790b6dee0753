"""What a registry or folder calls a cache: manifest and config must fit, whatever is in them."""

import base64
import json

import pytest

from corten.engine.build.sharing.config import CONFIG_TYPE, INLINE, UNCOMPRESSED, encode
from corten.engine.build.sharing.imports import read_manifest
from corten.errors import EngineError, NotFound
from corten.ids import DiffId
from corten.oci.manifest import OCI_CONFIG, Descriptor, Manifest
from tests.unit.engine.build.sharing.test_config import LAYER, ONE, RECORDS, THREE, TWO

BLOB = "sha256:" + "b" * 64


def manifest(config_type: str, *layers: Descriptor) -> Manifest:
    return Manifest(schema_version=2, config=Descriptor(media_type=config_type, digest=BLOB, size=1), layers=list(layers))


def layer(notes: dict[str, str] | None = None) -> Descriptor:
    return Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=BLOB, size=7, annotations=notes)


def image(**fields: object) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": [LAYER]}, **fields}).encode()


def test_a_cache_of_its_own() -> None:
    found = read_manifest(manifest(CONFIG_TYPE, layer({UNCOMPRESSED: LAYER})), encode(RECORDS, lambda _: BLOB), "reg/x")
    assert found.steps == {ONE: BLOB, TWO: "", THREE: BLOB}
    assert found.layers[BLOB].diff_id == LAYER
    assert found.layers[BLOB].size == 7


def test_inside_an_image() -> None:
    config = image(**{INLINE: base64.b64encode(encode(RECORDS, str)).decode()})
    found = read_manifest(manifest(OCI_CONFIG, layer()), config, "reg/x")
    assert found.steps[ONE] == LAYER
    assert found.layers[LAYER].digest == BLOB


def test_an_image_without_one() -> None:
    with pytest.raises(NotFound, match="holds no cache"):
        read_manifest(manifest(OCI_CONFIG, layer()), image(), "reg/x")


@pytest.mark.parametrize(
    ("found", "config"),
    [
        (manifest(CONFIG_TYPE, layer()), encode(RECORDS, lambda _: BLOB)),
        (manifest(CONFIG_TYPE, layer({UNCOMPRESSED: "x"})), encode(RECORDS, lambda _: BLOB)),
        (manifest(CONFIG_TYPE), encode(RECORDS, lambda _: BLOB)),
        (manifest(CONFIG_TYPE, layer({UNCOMPRESSED: LAYER})), b"{"),
        (manifest(OCI_CONFIG), image()),
        (manifest(OCI_CONFIG, layer()), b"[]"),
        (manifest(OCI_CONFIG, layer()), image(**{INLINE: 7})),
        (manifest(OCI_CONFIG, layer()), image(**{INLINE: "!!"})),
        (manifest(OCI_CONFIG, layer()), b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (manifest(OCI_CONFIG, layer()), image(**{INLINE: base64.b64encode(b"[" * 100_000).decode()})),
        (
            manifest(OCI_CONFIG, layer()),
            image(**{INLINE: base64.b64encode(encode(RECORDS, lambda _: DiffId("sha256:" + "c" * 64))).decode()}),
        ),
    ],
    ids=range(11),
)
def test_hostile(found: Manifest, config: bytes) -> None:
    with pytest.raises(EngineError):
        read_manifest(found, config, "reg/x")
