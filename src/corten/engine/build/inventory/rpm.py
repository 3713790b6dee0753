"""rpm's database where it is SQLite (Fedora 33, RHEL 9 and later): a table of headers, each as it stands in a package.

https://rpm-software-management.github.io/rpm/manual/format_header.html
"""

import sqlite3
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Final
from urllib.parse import quote

from corten.engine.build.inventory.rootfs import Component, ScannedRoot

_PLACES: Final = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite")
_LARGEST: Final = 256 << 20
_MOST_TAGS: Final = 1000
_SECONDS: Final = 20.0
_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENSE, _ARCH = 1000, 1001, 1002, 1003, 1011, 1014, 1022
_INT32, _TEXT, _TEXTS = 4, 6, 9


def rpm_packages(root: ScannedRoot, release: Mapping[str, str]) -> Iterator[Component]:
    for path in _PLACES:
        data = root.read(path, _LARGEST)
        if data is None:
            continue
        try:
            headers = _headers(data)
        except sqlite3.Error as error:
            root.cut.append(f"the packages of /{path}: {error}")
            continue
        yield from (found for header in headers if (found := _component(header, f"/{path}", release)) is not None)


def _headers(data: bytes) -> list[bytes]:
    """From a copy in memory: nothing is written beside a foreign database. A schema that never ends is ended."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(data)
        db.execute("PRAGMA trusted_schema = OFF")
        db.set_progress_handler(_deadline(), 10_000)
        rows = db.execute("SELECT blob FROM Packages LIMIT 20000").fetchall()
    return [row[0] for row in rows if isinstance(row[0], bytes)]


def _deadline() -> Callable[[], int]:
    end = time.monotonic() + _SECONDS
    return lambda: int(time.monotonic() > end)


def _component(header: bytes, where: str, release: Mapping[str, str]) -> Component | None:
    tags = read_header(header)
    name, version = str(tags.get(_NAME, "")), str(tags.get(_VERSION, ""))
    if not name or not version or name == "gpg-pubkey":
        return None
    full = f"{version}-{tags[_RELEASE]}" if tags.get(_RELEASE) else version
    space = quote(release.get("ID", "rpm"), safe="")
    epoch = f"&epoch={tags[_EPOCH]}" if tags.get(_EPOCH) else ""
    return Component(
        kind="LIBRARY",
        name=name,
        version=f"{tags[_EPOCH]}:{full}" if tags.get(_EPOCH) else full,
        licence=str(tags.get(_LICENSE, "")),
        supplier=str(tags.get(_VENDOR, "")),
        purl=f"pkg:rpm/{space}/{quote(name, safe='')}@{quote(full, safe='')}?arch={quote(str(tags.get(_ARCH, 'noarch')), safe='')}{epoch}",
        where=where,
    )


def read_header(data: bytes) -> dict[int, str | int]:
    """The texts and numbers of a header by tag; what is malformed is left out."""
    if len(data) < 8:
        return {}
    count, size = struct.unpack_from(">II", data)
    start = 8 + 16 * count
    if count > _MOST_TAGS or start + size > len(data):
        return {}
    store, found = data[start : start + size], dict[int, str | int]()
    for number in range(count):
        tag, kind, offset, _ = struct.unpack_from(">IIII", data, 8 + 16 * number)
        if kind in (_TEXT, _TEXTS) and offset < size:
            found[tag] = store[offset:].partition(b"\0")[0][:4096].decode(errors="replace")
        elif kind == _INT32 and offset + 4 <= size:
            found[tag] = struct.unpack_from(">I", store, offset)[0]
    return found
