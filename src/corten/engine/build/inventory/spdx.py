"""An inventory as an SPDX 2.3 document in JSON: https://spdx.github.io/spdx-spec/v2.3/

The document is the same for the same files: its namespace is made of what it says, its time is the image's.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from corten.engine.build.inventory.licences import expression
from corten.engine.build.inventory.rootfs import Component, shown
from corten.oci.digest import sha256_digest

UNKNOWN: Final = "NOASSERTION"
DOCUMENT: Final = "SPDXRef-DOCUMENT"
IMAGE: Final = "SPDXRef-Image"
_MAIL: Final = re.compile(r'"?([^"<]*?)"?\s*<([^<>]*)>')
_ID: Final = re.compile(r"[^A-Za-z0-9.-]+")


def document(name: str, components: Sequence[Component], cut: Sequence[str], epoch: int) -> bytes:
    """`name` is the target's; `cut` says what is missing; `epoch` in seconds."""
    packages = [_image(name), *(_package(one, number) for number, one in enumerate(components))]
    found: dict[str, Any] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": name,
        "creationInfo": {
            "created": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: Corten", "Tool: corten-inventory-1"],
        },
        "packages": packages,
        "relationships": list(_relationships(packages)),
    }
    if cut:
        found["comment"] = "Not listed: " + "; ".join(shown(one) for one in list(dict.fromkeys(cut))[:20])
    found["documentNamespace"] = f"urn:corten:spdx:{sha256_digest(msgspec.json.encode(found)).replace(':', '-')}"
    return msgspec.json.encode(found)


def _image(name: str) -> dict[str, Any]:
    return {
        "SPDXID": IMAGE,
        "name": name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "CONTAINER",
    }


def _package(one: Component, number: int) -> dict[str, Any]:
    licence = shown(one.licence)
    declared = expression(licence)
    found: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{number}-{_ID.sub('-', one.name)[:100]}",
        "name": shown(one.name),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": declared or UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": one.kind,
        "sourceInfo": f"from {shown(one.where)}",
    }
    optional = {
        "versionInfo": shown(one.version),
        "supplier": _supplier(shown(one.supplier)),
        "licenseComments": f"declared as: {licence}" if licence and not declared else "",
        "comment": shown(one.note),
        "packageFileName": shown(one.where) if one.digest else "",
    }
    found |= {key: value for key, value in optional.items() if value}
    if one.digest:
        found["checksums"] = [{"algorithm": "SHA256", "checksumValue": one.digest}]
    if one.purl:
        found["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": shown(one.purl)},
        ]
    return found


def _supplier(text: str) -> str:
    """`NAME <MAIL>` and plain names as SPDX has them."""
    match = _MAIL.fullmatch(text)
    if match is None:
        return f"Organization: {text}" if text else ""
    return f"Person: {match[1] or match[2]} ({match[2]})"


def _relationships(packages: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    yield {"spdxElementId": DOCUMENT, "relationshipType": "DESCRIBES", "relatedSpdxElement": IMAGE}
    for package in packages[1:]:
        yield {"spdxElementId": IMAGE, "relationshipType": "CONTAINS", "relatedSpdxElement": package["SPDXID"]}
