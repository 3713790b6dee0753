"""Python distributions: `*.dist-info/METADATA`, `*.egg-info/PKG-INFO` (or that file itself), anywhere in a root."""

import re
from typing import Final
from urllib.parse import quote

from corten.engine.build.inventory.rootfs import Component, ScannedRoot

_HEAD: Final = 256 << 10
"""The fields come first; a description of any length follows."""
_CLASSIFIER: Final = "License :: "


def is_distribution(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


def distribution(root: ScannedRoot, path: str) -> Component | None:
    """The distribution whose folder (or file) `path` is; None when it tells no name."""
    for inside in ("METADATA", "PKG-INFO", ""):
        where = f"{path}/{inside}".rstrip("/")
        text = root.text(where, _HEAD)
        if text is not None:
            return _component(text, where)
    return None


def _component(text: str, where: str) -> Component | None:
    fields = _fields(text)
    name, version = _first(fields, "name"), _first(fields, "version")
    if not name:
        return None
    normal = re.sub(r"[-_.]+", "-", name).lower()
    author = _first(fields, "author") or _first(fields, "author-email") or _first(fields, "maintainer")
    return Component(
        kind="LIBRARY",
        name=name,
        version=version,
        licence=_licence(fields),
        supplier=author,
        purl=f"pkg:pypi/{quote(normal, safe='')}@{quote(version, safe='')}",
        where=f"/{where}",
    )


def _fields(text: str) -> dict[str, list[str]]:
    """Core metadata up to the description; lines that go on are left out."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and line[0] not in " \t|":
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _first(fields: dict[str, list[str]], name: str) -> str:
    found = fields.get(name, [""])[0]
    return "" if found == "UNKNOWN" else found


def _licence(fields: dict[str, list[str]]) -> str:
    """The expression (PEP 639), else a short text, else what the classifiers say."""
    named = _first(fields, "license-expression") or _first(fields, "license")
    if named:
        return named
    texts = [one.rpartition(" :: ")[2] for one in fields.get("classifier", ()) if one.startswith(_CLASSIFIER)]
    return " AND ".join(text for text in texts if text != "OSI Approved")
