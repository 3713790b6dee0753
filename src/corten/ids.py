"""Identifiers as distinct types, and how random ones are made."""

import re
import secrets
from typing import NewType

Digest = NewType("Digest", str)
"""`sha256:<64 hex>` of a blob as transported (compressed layer, manifest, config)."""
DiffId = NewType("DiffId", str)
"""`sha256:<64 hex>` of an uncompressed layer tar."""
ChainId = NewType("ChainId", str)
"""`sha256:<64 hex>` naming a stack of layers (OCI image spec, "Layer ChainID")."""
ImageId = NewType("ImageId", str)
"""`sha256:<64 hex>`: the digest of the image's config."""
ContainerId = NewType("ContainerId", str)
ExecId = NewType("ExecId", str)
NetworkId = NewType("NetworkId", str)

_HEX64 = re.compile(r"[0-9a-f]{64}")


def random_hex64() -> str:
    """64 random lower-case hex digits whose first 12 are not all decimal (a short id must not look like a number)."""
    while True:
        value = secrets.token_hex(32)
        if not value[:12].isdecimal():
            return value


def new_container_id() -> ContainerId:
    return ContainerId(random_hex64())


def new_exec_id() -> ExecId:
    return ExecId(random_hex64())


def new_network_id() -> NetworkId:
    return NetworkId(random_hex64())


def short_id(full: str) -> str:
    """The 12 digits that people read; an algorithm prefix such as `sha256:` is dropped."""
    return full.rpartition(":")[2][:12]


def is_hex64(text: str) -> bool:
    return _HEX64.fullmatch(text) is not None
