"""`--attest type=provenance|sbom,…` and its short forms `--provenance` and `--sbom`."""

from collections.abc import Sequence

from corten.cli.errors import Failure
from corten.cli.kinds import csv_fields
from corten.units import parse_bool

Fields = dict[str, str]


def read_attestations(sbom: str, provenance: str, attest: Sequence[str]) -> tuple[Fields, Fields]:
    """The fields of provenance and of the SBOM, {} for what is not wanted. The last one of a kind counts. Raises Failure."""
    found: dict[str, Fields] = {}
    for text in [*attest, *_long("sbom", sbom), *_long("provenance", provenance)]:
        fields = _fields(text)
        kind = fields.pop("type", "")
        if not kind:
            raise Failure("ERROR: attestation type not specified")
        if kind not in ("sbom", "provenance"):
            raise Failure(f'ERROR: failed to build: failed to solve: unknown attestation type "{kind}"')
        found[kind] = fields
    wanted = {kind: fields for kind, fields in found.items() if not _is_disabled(fields)}
    if "provenance" in wanted:
        wanted["provenance"] = {"mode": "min", **wanted["provenance"]}
    if "sbom" in wanted:
        wanted["sbom"] = {"generator": "", **wanted["sbom"]}
    return wanted.get("provenance", {}), wanted.get("sbom", {})


def _long(kind: str, text: str) -> list[str]:
    """`--sbom TEXT` as `--attest` has it."""
    if not text:
        return []
    try:
        return [f"type={kind}" if parse_bool(text) else f"type={kind},disabled=true"]
    except ValueError:
        return [f"type={kind},{text}"]


def _fields(text: str) -> Fields:
    found: Fields = {}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise Failure(f"ERROR: invalid value {field}")
        found[key.lower()] = value
    return found


def _is_disabled(fields: Fields) -> bool:
    text = fields.pop("disabled", "false")
    try:
        return parse_bool(text)
    except ValueError:
        raise Failure(f"ERROR: invalid value {text} of disabled: true or false") from None
