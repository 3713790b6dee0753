"""`why`: why a container ended (or does not start), and what to do about it; also of one removed within the last hour."""

import json
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import STRING
from corten.cli.session import Action, Session
from corten.client.errors import ApiError
from corten.client.urls import quoted


def why(session: Session, values: Values, arguments: list[str]) -> int:
    """Status 1 when one of them is not known."""
    if values.text("format") not in ("", "json"):
        raise Failure("Error: --format takes json, or nothing for text")
    failed = False
    for name in arguments:
        try:
            found = session.api.get(f"/corten/containers/{quoted(name)}/why")
        except ApiError as error:
            session.warn(str(error))
            failed = True
            continue
        session.say(json.dumps(found) if values.text("format") else _text(found))
    return 1 if failed else 0


def _text(found: dict[str, Any]) -> str:
    status = found["Status"] if found["Status"] in ("running", "paused", "created") else f"{found['Status']} ({found['ExitCode']})"
    lines = [f"{found['Name']}, {status}: {found['Cause']}"]
    if found["Action"]:
        lines.append(f"  what to do: {found['Action']}")
    return "\n".join(lines)


WHY = Action(why, (Flag("format", STRING, "'json', or nothing for two lines of text"),))
