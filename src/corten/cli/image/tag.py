"""`tag`: one more name for an image."""

import re

from corten.cli.errors import Failure
from corten.cli.flags import Values
from corten.cli.references import normalized
from corten.cli.session import Action, Session
from corten.client.urls import quoted
from corten.quoting import go_quoted

_ID = re.compile(r"[0-9a-f]{64}")


def tag(session: Session, values: Values, arguments: list[str]) -> int:
    if not _ID.fullmatch(arguments[0]):
        _checked(arguments[0])
    repository, label = _checked(arguments[1])
    if "@" in arguments[1]:
        raise Failure("refusing to create a tag with a digest reference")
    session.api.post(f"/images/{quoted(arguments[0])}/tag", {"repo": repository, "tag": label or "latest"})
    return 0


def _checked(name: str) -> tuple[str, str]:
    """Repository and tag."""
    try:
        repository, label, _ = normalized(name)
    except ValueError as error:
        raise Failure(f"Error parsing reference: {go_quoted(name)} is not a valid repository/tag: {error}") from None
    return repository, label


TAG = Action(tag)
