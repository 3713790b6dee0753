"""Inventories of roots, ours and hostile ones."""

import json
import os
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from corten.engine.build.inventory import rootfs
from corten.engine.build.inventory.licences import expression
from corten.engine.build.inventory.rootfs import Component, ScannedRoot, shown
from corten.engine.build.inventory.rpm import read_header
from corten.engine.build.inventory.scan import scan
from corten.engine.build.inventory.spdx import document


def listed(path: Path) -> tuple[list[Component], list[str]]:
    root = ScannedRoot(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    try:
        return scan(root), root.cut
    finally:
        os.close(root.fd)


def put(root: Path, path: str, content: str | bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


def rpm_header(tags: dict[int, str | int]) -> bytes:
    entries, store = b"", b""
    for tag, value in tags.items():
        if isinstance(value, int):
            store += b"\0" * (-len(store) % 4)
        entries += struct.pack(">IIII", tag, 4 if isinstance(value, int) else 6, len(store), 1)
        store += struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
    return struct.pack(">II", len(tags), len(store)) + entries + store


def elf(soname: str) -> bytes:
    """A 64-bit ELF file of one segment that is loaded at 0x1000, with its dynamic section and strings."""
    strings = b"\0" + soname.encode() + b"\0"
    start = 64 + 2 * 56
    dynamic = struct.pack("<QQQQQQ", 5, 0x1000 + start + 48, 14, 1, 0, 0)
    head = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x1000, 0x1000, start + 48 + len(strings), 0, 0)
    return head + load + struct.pack("<IIQQQQQQ", 2, 6, start, 0x1000 + start, 0, 48, 48, 8) + dynamic + strings


def test_packages_of_three_kinds(tmp_path: Path) -> None:
    put(tmp_path, "etc/os-release", 'ID=alpine\nVERSION_ID="3.20"\n')
    put(tmp_path, "lib/apk/db/installed", "C:Q1=\nP:busybox\nV:1.36-r1\nA:x86_64\nL:GPL-2.0-only\no:busybox\n\n")
    put(tmp_path, "var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\nArchitecture: all\nSource: tz (1)\n")
    put(tmp_path, "usr/share/doc/tzdata/copyright", "Format: x\n\nFiles: *\nLicense: GPL-2+\n text\n\nLicense: Expat\n")
    database = sqlite3.connect(tmp_path / "db")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    header = rpm_header({1000: "bash", 1001: "5.2", 1002: "1.el9", 1003: 2, 1014: "GPLv3+", 1022: "x86_64"})
    database.executemany(
        "INSERT INTO Packages (blob) VALUES (?)", [(header,), (b"rubbish",), (rpm_header({1000: "gpg-pubkey", 1001: "1"}),)]
    )
    database.commit()
    database.close()
    put(tmp_path, "var/lib/rpm/rpmdb.sqlite", (tmp_path / "db").read_bytes())
    components, cut = listed(tmp_path)
    assert cut == []
    assert {(c.name, c.version, c.licence, c.purl) for c in components} == {
        ("alpine", "3.20", "", ""),
        ("busybox", "1.36-r1", "GPL-2.0-only", "pkg:apk/alpine/busybox@1.36-r1?arch=x86_64&distro=alpine-3.20"),
        ("tzdata", "2024a", "GPL-2+ AND Expat", "pkg:deb/alpine/tzdata@2024a?arch=all&distro=alpine-3.20&upstream=tz"),
        ("bash", "2:5.2-1.el9", "GPLv3+", "pkg:rpm/alpine/bash@5.2-1.el9?arch=x86_64&epoch=2"),
    }


def test_weights_and_cuda_libraries(tmp_path: Path) -> None:
    weights = (8).to_bytes(8, "little") + b"{" + b" " * 20
    put(tmp_path, "models/a.safetensors", weights)
    put(tmp_path, "models/no.safetensors", "text")
    put(tmp_path, "hub/models--org--name/blobs/" + "a" * 64, weights)
    put(tmp_path, "plain/pytorch_model.bin", b"PK\x03\x04")
    put(tmp_path, "whole/config.json", "{}")
    put(tmp_path, "whole/pytorch_model.bin", b"PK\x03\x04")
    put(tmp_path, "lib/libcudart.so.12.4.127", elf("libcudart.so.12"))
    put(tmp_path, "lib/libcudnn.so.9", elf("libcudnn.so.9"))
    put(tmp_path, "lib/libnccl.so.2", "INPUT(libc.so)")
    put(tmp_path, "lib/libc.so.6", elf("libc.so.6"))
    os.symlink("libcudart.so.12.4.127", tmp_path / "lib/libcudart.so.12")
    found = {(c.name, c.version, c.where) for c in listed(tmp_path)[0]}
    assert found == {
        ("org/name", "", "/hub/models--org--name/blobs/" + "a" * 64),
        ("libcudart", "12.4.127", "/lib/libcudart.so.12.4.127"),
        ("libcudnn", "9", "/lib/libcudnn.so.9"),
        ("a.safetensors", "", "/models/a.safetensors"),
        ("pytorch_model.bin", "", "/whole/pytorch_model.bin"),
    }


def test_links_stay_inside_and_nothing_waits(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    put(outside, "METADATA", "Name: secret\nVersion: 1\n")
    put(outside, "m.gguf", "GGUF")
    put(root, "x.dist-info/keep", "")
    os.symlink(outside / "METADATA", root / "x.dist-info/METADATA")
    os.symlink(outside, root / "y.dist-info")
    os.symlink(outside / "m.gguf", root / "m.gguf")
    os.symlink("../../../../outside", root / "up")
    os.mkfifo(root / "pipe.gguf")
    os.makedirs(root / "var/lib/dpkg")
    os.mkfifo(root / "var/lib/dpkg/status")
    put(root, "bad.dist-info/METADATA", b"Name: \xff\xfe\nVersion: 1\n")
    components, _ = listed(root)
    assert [c.version for c in components] == ["1"]
    assert "�" in components[0].name


def test_huge_metadata_is_read_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "big.dist-info").mkdir()
    with open(tmp_path / "big.dist-info/METADATA", "wb") as file:
        file.write(b"Name: big\nVersion: 1\nSummary: ")
        file.truncate(1 << 36)
    assert [c.name for c in listed(tmp_path)[0]] == ["big"]


def test_what_is_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        put(tmp_path, f"{number:02}/p.dist-info/METADATA", f"Name: p{number}\nVersion: 1\n")
    monkeypatch.setattr(rootfs, "MOST_ENTRIES", 50)
    components, cut = listed(tmp_path)
    assert 0 < len(components) < 30
    assert cut == ["what comes after the first 50 files"]
    assert "Not listed" in json.loads(document("sbom", components, cut, 0))["comment"]


def test_a_database_that_never_answers_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corten.engine.build.inventory.rpm._SECONDS", 0.1)
    database = sqlite3.connect(tmp_path / "db")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS blob FROM n WHERE i < 0"
    database.execute(f"CREATE VIEW Packages AS {endless}")
    database.commit()
    database.close()
    put(tmp_path, "var/lib/rpm/rpmdb.sqlite", (tmp_path / "db").read_bytes())
    components, cut = listed(tmp_path)
    assert (components, cut) == ([], ["the packages of /var/lib/rpm/rpmdb.sqlite: interrupted"])


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\xff" * 40, struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, 6, 99, 1) + b"abcd"])
def test_headers_that_are_none(data: bytes) -> None:
    assert read_header(data) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("MIT", "MIT"),
        ("MIT License", "MIT"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("MIT OR Apache-2.0", "(MIT OR Apache-2.0)"),
        ("GPL-2.0-only AND MIT", "GPL-2.0-only AND MIT"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "GPL-3.0-or-later WITH GCC-exception-3.1"),
        ("MIT Apache-2.0", ""),
        ("MIT AND something", ""),
        ("(MIT", ""),
        ("", ""),
    ],
)
def test_licences(text: str, wanted: str) -> None:
    assert expression(text) == wanted


def test_a_document_is_whole_and_the_same(tmp_path: Path) -> None:
    components = [Component(kind="FILE", name="a\udcff b", digest="00", where="/x", supplier="N <m@x>", licence="odd")]
    first: dict[str, Any] = json.loads(document("sbom", components, [], 1))
    assert first == json.loads(document("sbom", components, [], 1))
    package = first["packages"][1]
    assert (package["supplier"], package["licenseComments"], package["licenseDeclared"]) == (
        "Person: N (m@x)",
        "declared as: odd",
        "NOASSERTION",
    )
    assert first["relationships"][1] == {
        "spdxElementId": "SPDXRef-Image",
        "relationshipType": "CONTAINS",
        "relatedSpdxElement": package["SPDXID"],
    }
    assert len({p["SPDXID"] for p in first["packages"]}) == len(first["packages"])
    assert shown("x" * 9999) == "x" * 512
