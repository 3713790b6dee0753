"""`tag`: one more name for an image."""

from corten.cli.errors import Failure
from corten.cli.flags import Values
from corten.cli.kinds import go_quoted
from corten.cli.references import normalized
from corten.cli.session import Action, Session
from corten.client.urls import quoted


def tag(session: Session, values: Values, arguments: list[str]) -> int:
    try:
        repository, label, _ = normalized(arguments[1])
    except ValueError as error:
        raise Failure(f"Error parsing reference: {go_quoted(arguments[1])} is not a valid repository/tag: {error}") from None
    if "@" in arguments[1]:
        raise Failure("refusing to create a tag with a digest reference")
    session.api.post(f"/images/{quoted(arguments[0])}/tag", {"repo": repository, "tag": label or "latest"})
    return 0


TAG = Action(tag)
