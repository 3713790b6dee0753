"""`port`: where a container's ports are published."""

from collections.abc import Mapping, Sequence

from corten.cli.errors import Failure
from corten.cli.flags import Values
from corten.cli.session import Action, Session
from corten.client.urls import quoted
from corten.quoting import go_quoted


def port(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.api.get(f"/containers/{quoted(arguments[0])}/json")["NetworkSettings"]["Ports"] or {}
    if len(arguments) == 1:
        lines = [f"{name} -> {where}" for name, bound in found.items() for where in _places(bound)]
        for line in sorted(lines, key=_natural):
            session.say(line)
        return 0
    number, _, protocol = arguments[1].partition("/")
    if not number.isdecimal():
        raise Failure(f"Error: invalid port ({number}): strconv.ParseUint: parsing {go_quoted(number)}: invalid syntax")
    places = _places(found.get(f"{number}/{protocol or 'tcp'}"))
    if not places:
        raise Failure(f"Error: No public port '{arguments[1]}' published for {arguments[0]}")
    for where in sorted(places, key=_natural):
        session.say(where)
    return 0


def _places(bound: Sequence[Mapping[str, str]] | None) -> list[str]:
    return [f"[{b['HostIp']}]:{b['HostPort']}" if ":" in b["HostIp"] else f"{b['HostIp']}:{b['HostPort']}" for b in bound or ()]


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Numbers inside the text are compared as numbers, and come before anything else."""
    parts: list[tuple[bool, int, str]] = []
    number = ""
    for c in text + "\0":
        if c.isdecimal():
            number += c
            continue
        if number:
            parts.append((False, int(number), ""))
            number = ""
        parts.append((True, 0, c))
    return parts


PORT = Action(port)
