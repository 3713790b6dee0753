"""`tag`: one more name for an image."""

from corten.cli.flags import Values
from corten.cli.references import named
from corten.cli.session import Action, Session
from corten.client.api import quoted


def tag(session: Session, values: Values, arguments: list[str]) -> int:
    repository, label, _ = named(arguments[1])
    session.api.post(f"/images/{quoted(arguments[0])}/tag", {"repo": repository, "tag": label or "latest"})
    return 0


TAG = Action(tag)
