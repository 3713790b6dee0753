"""Which form of an answer a client's `Accept` names (RFC 9110 12.5.1), as dockerd chooses: wildcards name none."""

from collections.abc import Sequence
from typing import Final

JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonl"
NDJSON: Final = "application/x-ndjson"
JSON_SEQUENCE: Final = "application/json-seq"

JSON_STREAMS: Final = (JSON_LINES, NDJSON, JSON_SEQUENCE)

RECORD_SEPARATOR: Final = b"\x1e"
"""Leads each text of a JSON sequence (RFC 7464 2.2); a line feed ends it."""


def match_accept(ranges: Sequence[str], offers: Sequence[str]) -> str:
    """The offer of the greatest weight among `ranges`, the members of `Accept`; of equals the first offer. "" when none is named."""
    weights: dict[str, float] = {}
    for member in ranges:
        name, *parameters = (part.strip() for part in member.split(";"))
        weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    named = [offer for offer in offers if weights.get(offer, 0.0) > 0]
    return max(named, key=lambda offer: weights[offer], default="")


def _weight(parameters: Sequence[str]) -> float:
    """`q=0.5`; 1 without one, 0 for what is no number."""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
