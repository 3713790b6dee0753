"""What a scanner wrote: in-toto statements, each a file. It may be anybody's program, so that nothing is taken on trust."""

import os
import stat
from typing import Any, Final

import msgspec

from corten.engine.build.sboms.options import CORE
from corten.errors import Invalid
from corten.store.archive.attesting import SPDX, Statement

LARGEST: Final = 32 << 20
"""Bytes of all statements about one image, as much as is kept of those that are pulled."""
MOST: Final = 1000


def read_statements(folder: str) -> list[Statement]:
    """The result's own first, the others by name. Raises Invalid."""
    names = sorted(os.listdir(folder))
    if len(names) > MOST:
        raise Invalid(f"the scanner wrote {len(names)} files, more than {MOST}", reason="bad-sbom")
    names.sort(key=lambda name: name.partition(".")[0] != CORE)
    found, left = list[Statement](), LARGEST
    for name in names:
        data = _read(folder, name, left)
        left -= len(data)
        found.append(_statement(name, data))
    return found


def _read(folder: str, name: str, limit: int) -> bytes:
    path = os.path.join(folder, name)
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise Invalid(f"{name} is not a regular file", reason="bad-sbom")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Invalid(f"{name} exceeds {LARGEST} bytes, with the statements before it", reason="sbom-size")
    return data


def _statement(name: str, data: bytes) -> Statement:
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"cannot decode in-toto statement: {name}: {error}", reason="bad-sbom") from None
    kind, subject = found.get("predicateType"), found.get("subject") or []
    if kind != SPDX:
        raise Invalid(f"bundle entry {kind} does not match required predicate type {SPDX}", reason="bad-sbom")
    if not isinstance(subject, list) or not all(isinstance(one, dict) for one in subject):
        raise Invalid(f"cannot decode in-toto statement: {name}: its subject is not a list of objects", reason="bad-sbom")
    predicate = msgspec.json.encode(found.get("predicate"), order="deterministic")
    return Statement(name=name, type=SPDX, predicate=msgspec.Raw(predicate), subject=subject)
