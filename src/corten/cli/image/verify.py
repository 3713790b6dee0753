"""`image verify`: what the disk holds of images, file by file, against what they are made of."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL
from corten.cli.output.units import short_id
from corten.cli.session import Action, Session
from corten.client.credentials import all_credentials
from corten.units import human_size

Json = Mapping[str, Any]
SHOWN_FAULTS = 20


def verify(session: Session, values: Values, arguments: list[str]) -> int:
    query: dict[str, str | list[str]] = {"names": arguments}
    headers = {}
    if values.on("repair"):
        query["repair"] = "1"
        headers["X-Registry-Config"] = urlsafe_b64encode(json.dumps(all_credentials(session.config)).encode()).decode()
    damaged = layers = files = 0
    for found in session.api.call("POST", "/corten/images/verify", query, headers=headers).json_lines():
        layers, files = layers + 1, files + int(found["Files"])
        damaged += found["State"] == "damaged"
        if found["State"] != "whole" or not values.on("quiet"):
            _show(session, found, whole=values.on("no-trunc"))
    if not values.on("quiet"):
        session.say(f"{layers} layers, {files} files: " + (f"{damaged} damaged" if damaged else "all whole"))
    return 1 if damaged else 0


def _show(session: Session, found: Json, *, whole: bool) -> None:
    """A line for the layer, one for each fault, and what came of the repair."""
    layer = found["Layer"] if whole else short_id(found["Layer"])
    images = ", ".join(name if whole else _short(name) for name in found["Images"]) or "no image"
    session.say_now(f"{layer}  {found['State']}  {found['Files']} files, {human_size(found['Size'])}  ({images})")
    faults = found["Faults"]
    for fault in faults if whole else faults[:SHOWN_FAULTS]:
        session.say_now(f"  {fault['Kind']}  {fault['Path']}: {fault['What']}")
    if not whole and len(faults) > SHOWN_FAULTS:
        session.say_now(f"  … and {len(faults) - SHOWN_FAULTS} more (--no-trunc shows all)")
    if found["Origin"]:
        session.say_now(f"  fetched again from {found['Origin']}")
    if found["Problem"]:
        session.warn(f"  not repaired: {found['Problem']}" + (f"\n  hint: {found['Hint']}" if found["Hint"] else ""))


def _short(name: str) -> str:
    return short_id(name) if name.startswith("sha256:") else name


VERIFY = Action(
    verify,
    (
        Flag("no-trunc", BOOL, "Shorten no ids and no lists"),
        Flag("quiet", BOOL, "Tell of damage only", short="q"),
        Flag("repair", BOOL, "Fetch damaged layers again from the registry that they came from"),
    ),
)
