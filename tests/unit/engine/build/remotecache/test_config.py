"""The cache manifest: what is written is read again, what is hostile is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.build.remotecache import CacheRecord, record_chain
from corten.engine.build.remotecache.config import LARGEST, KnownStep, decode, decode_inline, encode, encode_inline
from corten.errors import Invalid
from corten.ids import DiffId, is_hex64

BASE, ONE, TWO, THREE = (letter * 64 for letter in "0123")
LAYER = DiffId("sha256:" + "a" * 64)
FIRST, SECOND = "2026-11-24T14:06:50.000000007Z", "2026-11-24T14:06:51Z"
RECORDS = [
    CacheRecord(ONE, BASE, LAYER, "RUN a", FIRST),
    CacheRecord(TWO, ONE, None, "RUN true", SECOND),
    CacheRecord(THREE, TWO, LAYER, "RUN b", SECOND),
]
AT = 1795529210 * 10**9 + 7
KNOWN = {ONE: KnownStep(LAYER, AT), TWO: KnownStep("", AT + 10**9 - 7), THREE: KnownStep(LAYER, AT + 10**9 - 7)}


def test_written_and_read() -> None:
    assert decode(encode(RECORDS, str)) == KNOWN


def test_form_is_buildkits() -> None:
    """Records link to the one below; the same layer on another one is another entry."""
    found = json.loads(encode(RECORDS, str))
    assert [layer["parent"] for layer in found["layers"]] == [-1, 0]
    assert found["records"][2]["inputs"] == [[{"link": 1, "selector": ""}]]
    assert found["records"][2]["layers"] == [{"layer": 1, "createdAt": SECOND}]


def test_inside_an_image_stand_records_alone() -> None:
    """`layers` are the image's, those of its base first."""
    raw = encode_inline(RECORDS, ["sha256:" + "f" * 64, LAYER, LAYER])
    found = json.loads(raw)
    assert [record.get("layers") for record in found] == [[{"layer": 1, "createdAt": FIRST}], None, [{"layer": 2, "createdAt": SECOND}]]
    assert decode_inline(raw, ["sha256:" + "f" * 64, LAYER, LAYER]) == KNOWN
    with pytest.raises(Invalid):
        decode_inline(raw, [LAYER])


def test_what_buildkit_writes_is_read() -> None:
    """A record of each kind, as BuildKit 0.25 wrote it; its keys are not ours, so nothing of it is ever asked for."""
    record: dict[str, object] = {"layers": [{"layer": 0, "createdAt": "2026-11-24T14:06:50Z"}], "digest": f"sha256:{TWO}"}
    record["inputs"] = [[{"selector": f"sha256:{ONE}", "link": 0}]]
    raw = json.dumps([{"digest": f"sha256:{ONE}"}, record]).encode()
    assert decode_inline(raw, [LAYER]) == {TWO: KnownStep(LAYER, AT - 7)}


def test_chain_of_an_image() -> None:
    known = {record.key: record for record in [*RECORDS, CacheRecord("4" * 64, BASE, LAYER, "RUN other")]}
    assert record_chain(known, THREE) == RECORDS
    assert record_chain(known, BASE) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b'{"records":[{"digest":"../../etc"}]}',
        b'{"layers":[],"records":[{"digest":"sha256:' + b"1" * 64 + b'","layers":[{"layer":0}]}]}',
        b'{"layers":[{"blob":"x"}],"records":[{"digest":"sha256:' + b"1" * 64 + b'","layers":[{"layer":0}]}]}',
        b'{"records":[{"digest":"sha256:' + b"1" * 64 + b'","layers":[{"layer":-1}]}]}',
        b"[" * 100_000,
        b" " * (LARGEST + 1),
    ],
    ids=range(8),
)
def test_hostile(raw: bytes) -> None:
    with pytest.raises(Invalid):
        decode(raw)


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(raw: bytes) -> None:
    try:
        found = decode(raw)
    except Invalid:
        return
    assert all(is_hex64(key) for key in found)
