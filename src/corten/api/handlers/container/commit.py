"""`POST /commit`: a container as an image."""

from corten.api.request import Request
from corten.api.types.images import CommitAnswer
from corten.api.wire import json_response
from corten.engine.containers.commit import CommitRequest
from corten.engine.images.catalog import parse_target
from corten.errors import Invalid
from corten.http.response import Reply


async def commit(request: Request) -> Reply:
    """The body's config, which Docker ignores but for old clients, is not read: `changes` say what differs."""
    name = request.text("container")
    if not name:
        raise Invalid('invalid name or ID supplied: ""', reason="no-container")
    repository = request.text("repo")
    wanted = CommitRequest(
        container=name,
        reference=parse_target(repository, request.text("tag")) if repository else None,
        comment=request.text("comment"),
        author=request.text("author"),
        pause=request.flag("pause", True),
        changes=[line for value in request.values("changes") for line in value.splitlines()],
    )
    made = await request.app.commits.commit(wanted)
    return json_response(CommitAnswer(id=made), 201)
