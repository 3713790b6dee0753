"""Digests as the OCI image spec writes them (`algorithm:hex`, "Descriptors"): made, parsed, checked. Nothing here reads files."""

import hashlib
import re

from corten.errors import Invalid
from corten.ids import Digest

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_FORM = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_HEX = re.compile(r"[a-f0-9]+")


def sha256_digest(data: bytes | bytearray | memoryview) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def parse_digest(text: str) -> Digest:
    """`text` as a Digest. Raises Invalid for a wrong form, an unknown algorithm or a wrong length, in Docker's words."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Invalid(f"invalid checksum digest format: {text}", reason="bad-digest")
    algorithm, value = match.groups()
    if algorithm not in _HEX_LENGTH:
        raise Invalid(f"unsupported digest algorithm: {algorithm}", reason="bad-digest", hint="sha256, sha384 and sha512 are known")
    if len(value) != _HEX_LENGTH[algorithm]:
        raise Invalid(f"invalid checksum digest length: {text}", reason="bad-digest")
    if _HEX.fullmatch(value) is None:
        raise Invalid(f"invalid checksum digest format: {text}", reason="bad-digest")
    return Digest(text)


def hex_of(digest: str) -> str:
    """The hex half of `algorithm:hex`."""
    return digest.partition(":")[2]


def algorithm_of(digest: str) -> str:
    return digest.partition(":")[0]
