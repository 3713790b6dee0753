"""`top`: a container's processes."""

from corten.cli.flags import Values
from corten.cli.output.tables import aligned
from corten.cli.session import Action, Session
from corten.client.urls import quoted


def top(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"ps_args": " ".join(arguments[1:])} if len(arguments) > 1 else None
    found = session.api.get(f"/containers/{quoted(arguments[0])}/top", query)
    lines = ["\t".join(row) for row in (found["Titles"], *(found["Processes"] or ()))]
    for line in aligned(lines, narrowest=20):
        session.say(line)
    return 0


TOP = Action(top)
