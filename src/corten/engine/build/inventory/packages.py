"""What the distribution's package manager has installed: dpkg (also distroless images), apk, rpm (its SQLite database)."""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from corten.engine.build.inventory.rootfs import Component, ScannedRoot
from corten.engine.build.inventory.rpm import rpm_packages

_DATABASE: Final = 64 << 20
_COPYRIGHT: Final = 64 << 10
_OLD_RPM: Final = ("var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "usr/lib/sysimage/rpm/Packages.db")
_LICENCE: Final = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)


def packages(root: ScannedRoot) -> Iterator[Component]:
    release = os_release(root)
    yield from _dpkg(root, release)
    yield from _apk(root, release)
    yield from rpm_packages(root, release)
    for path in _OLD_RPM:
        if root.read(path, 16):
            root.cut.append(f"the packages of /{path}, an rpm database of a form that is not read")


def os_release(root: ScannedRoot) -> Mapping[str, str]:
    """`ID`, `VERSION_ID` and whatever else the root says of itself."""
    text = root.text("etc/os-release", 64 << 10) or root.text("usr/lib/os-release", 64 << 10) or ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def system(root: ScannedRoot) -> Iterator[Component]:
    """The distribution itself."""
    release = os_release(root)
    if release.get("ID"):
        yield Component(
            kind="OPERATING-SYSTEM",
            name=release["ID"],
            version=release.get("VERSION_ID", ""),
            note=release.get("PRETTY_NAME", ""),
            where="/etc/os-release",
        )


def _dpkg(root: ScannedRoot, release: Mapping[str, str]) -> Iterator[Component]:
    found = "var/lib/dpkg/status"
    texts = [(found, root.text(found, _DATABASE) or "")]
    folder = "var/lib/dpkg/status.d"  # distroless images: a file for each package
    texts += [
        (f"{folder}/{name}", root.text(f"{folder}/{name}", 1 << 20) or "") for name in root.names(folder) if not name.endswith(".md5sums")
    ]
    for path, text in texts:
        for fields in paragraphs(text):
            name, version = fields.get("Package", ""), fields.get("Version", "")
            if not name or not version or fields.get("Status", "installed").split()[-1:] != ["installed"]:
                continue
            root.check()
            source = fields.get("Source", "").partition(" ")[0]
            yield Component(
                kind="LIBRARY",
                name=name,
                version=version,
                licence=_debian_licence(root, name),
                supplier=fields.get("Maintainer", ""),
                purl=_purl(
                    f"deb/{release.get('ID', 'debian')}", name, version, _qualifiers(fields.get("Architecture", ""), source, release)
                ),
                where=f"/{path}",
            )


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Blocks of `Name: value`; lines that go on with a blank are left out."""
    for block in re.split(r"\n[ \t]*\n", text):
        pairs = (line.partition(":") for line in block.splitlines() if line[:1] not in (" ", "\t", ""))
        if fields := {name: value.strip() for name, _, value in pairs}:
            yield fields


def _debian_licence(root: ScannedRoot, name: str) -> str:
    """The licences that a machine-readable copyright file names."""
    if "/" in name:
        return ""
    text = root.text(f"usr/share/doc/{name}/copyright", _COPYRIGHT) or ""
    return " AND ".join(dict.fromkeys(one.strip() for one in _LICENCE.findall(text)[:20]))


def _apk(root: ScannedRoot, release: Mapping[str, str]) -> Iterator[Component]:
    path = "lib/apk/db/installed" if root.read("lib/apk/db/installed", 1) else "usr/lib/apk/db/installed"
    for fields in paragraphs(root.text(path, _DATABASE) or ""):
        name, version = fields.get("P", ""), fields.get("V", "")
        if name and version:
            yield Component(
                kind="LIBRARY",
                name=name,
                version=version,
                licence=fields.get("L", ""),
                supplier=fields.get("m", ""),
                purl=_purl("apk/alpine", name, version, _qualifiers(fields.get("A", ""), fields.get("o", ""), release)),
                where=f"/{path}",
            )


def _purl(space: str, name: str, version: str, qualifiers: Mapping[str, str]) -> str:
    """https://github.com/package-url/purl-spec"""
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in qualifiers.items() if value and value != name)
    return f"pkg:{quote(space)}/{quote(name, safe='')}@{quote(version, safe='')}{'?' if text else ''}{text}"


def _qualifiers(arch: str, upstream: str, release: Mapping[str, str]) -> dict[str, str]:
    distro = "-".join(filter(None, (release.get("ID"), release.get("VERSION_ID"))))
    return {"arch": arch, "distro": distro, "upstream": upstream}
