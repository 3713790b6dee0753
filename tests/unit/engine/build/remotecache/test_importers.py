"""What a registry or folder calls a cache: manifest and config must fit, whatever is in them."""

import base64
import json

import pytest

from corten.engine.build.remotecache.config import CONFIG_TYPE, INLINE, UNCOMPRESSED, encode, encode_inline
from corten.engine.build.remotecache.importers import read_manifest
from corten.errors import EngineError, NotFound
from corten.oci.manifest import OCI_CONFIG, Descriptor, Manifest
from tests.unit.engine.build.remotecache.test_config import LAYER, ONE, RECORDS, THREE, TWO

BLOB = "sha256:" + "b" * 64


def manifest(config_type: str, *layers: Descriptor) -> Manifest:
    return Manifest(schema_version=2, config=Descriptor(media_type=config_type, digest=BLOB, size=1), layers=list(layers))


def layer(notes: dict[str, str] | None = None) -> Descriptor:
    return Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=BLOB, size=7, annotations=notes)


def image(inside: object = None, *, count: int = 1) -> bytes:
    fields = {"rootfs": {"type": "layers", "diff_ids": [LAYER] * count}}
    return json.dumps(fields | ({INLINE: inside} if inside else {})).encode()


def test_a_cache_of_its_own() -> None:
    found = read_manifest(manifest(CONFIG_TYPE, layer({UNCOMPRESSED: LAYER})), encode(RECORDS, lambda _: BLOB), "reg/x")
    assert {key: known.layer for key, known in found.steps.items()} == {ONE: BLOB, TWO: "", THREE: BLOB}
    assert found.layers[BLOB].diff_id == LAYER
    assert found.layers[BLOB].size == 7


def test_inside_an_image() -> None:
    config = image(base64.b64encode(encode_inline(RECORDS, [LAYER, LAYER])).decode(), count=2)
    found = read_manifest(manifest(OCI_CONFIG, layer(), layer()), config, "reg/x")
    assert found.steps[ONE].layer == LAYER
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
        (manifest(OCI_CONFIG, layer()), image(7)),
        (manifest(OCI_CONFIG, layer()), image("!!")),
        (manifest(OCI_CONFIG, layer()), b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (manifest(OCI_CONFIG, layer()), image(base64.b64encode(b"[" * 100_000).decode())),
    ],
    ids=range(10),
)
def test_hostile(found: Manifest, config: bytes) -> None:
    with pytest.raises(EngineError):
        read_manifest(found, config, "reg/x")
