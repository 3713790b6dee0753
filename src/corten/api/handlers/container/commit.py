"""`POST /commit`: a container as an image."""

from corten.api.request import Request
from corten.api.types.container_config import ContainerConfigBody, to_config
from corten.api.types.images import CommitAnswer
from corten.api.wire import decode, json_response
from corten.engine.containers.commit import CommitRequest
from corten.engine.images.catalog import parse_target
from corten.engine.values.container import ContainerConfig
from corten.errors import Invalid
from corten.http.response import Reply


async def commit(request: Request) -> Reply:
    """The body's config goes over the container's, and `changes` over both."""
    config = _config(await request.body())
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
        config=config,
    )
    made = await request.app.commits.commit(wanted)
    return json_response(CommitAnswer(id=made), 201)


def _config(body: bytes) -> ContainerConfig | None:
    """The stock CLI sends null. Raises Invalid."""
    return to_config(decode(ContainerConfigBody, body)) if body.strip() not in (b"", b"null") else None
