"""The calls on containers as a collection: create, list, inspect, rename, update, remove, prune."""

from msgspec import structs

from corten.api.handlers.container.inspect import inspect_answer, summaries
from corten.api.request import Request
from corten.api.types.containers import CortenAnswer, CreateAnswer, CreateBody, ExitReasonAnswer, UpdateAnswer, UpdateBody
from corten.api.types.host_config import to_restart_policy
from corten.api.types.resources import to_resources
from corten.api.versions import as_meant, create_warnings
from corten.api.wire import json_response
from corten.engine.containers.create.creation import CreateRequest
from corten.engine.containers.exit_reasons import Explained
from corten.engine.containers.ps import ACCEPTED, ContainerListQuery
from corten.engine.records.state import is_up
from corten.engine.timestamps import format_moment
from corten.engine.values.container import State
from corten.errors import NotFound
from corten.http.response import Reply, Response


async def container_create(request: Request) -> Reply:
    body = await request.json(CreateBody)
    config, host, endpoints = body.to_engine()
    name, platform = request.text("name").removeprefix("/"), request.text("platform")
    peer = request.http.peer
    client = (peer.uid, peer.gid) if peer else None
    asked = CreateRequest(config=config, host=host, endpoints=endpoints, name=name, platform=platform, client=client)
    created = await request.app.creation.create(as_meant(asked, request.version))
    return json_response(CreateAnswer(id=created.id, warnings=[*created.warnings, *create_warnings(asked, request.version)]), 201)


async def container_list(request: Request) -> Reply:
    query = ContainerListQuery(all=request.flag("all"), limit=request.integer("limit"), filters=request.filters(*ACCEPTED))
    containers = request.app.containers
    found = containers.list(query, request.app.images.catalog.family)
    sizes = await containers.all_sizes(found) if request.flag("size") else [None] * len(found)
    return json_response(summaries(containers, found, sizes))


async def container_inspect(request: Request) -> Reply:
    """With the reason of a run that failed, beside what Docker shows."""
    found = await request.app.containers.inspect(request.params["id"], size=request.flag("size"))
    answer = inspect_answer(found)
    state = found.container.state
    if not is_up(state) and (state.exit_code or state.error):
        reason = exit_reason_answer(await request.app.exit_reasons.of(found.container), state)
        answer = structs.replace(answer, corten=CortenAnswer(exit_reason=reason))
    return json_response(answer)


async def container_why(request: Request) -> Reply:
    """Also of a container that was removed within the hour, if its last run failed."""
    ref = request.params["id"]
    try:
        container = (await request.app.containers.inspect(ref)).container
    except NotFound:
        return json_response(exit_reason_answer(await request.app.exit_reasons.of_removed(ref), None))
    return json_response(exit_reason_answer(await request.app.exit_reasons.of(container), container.state))


def exit_reason_answer(found: Explained, state: State | None) -> ExitReasonAnswer:
    """`state` None: the container is gone."""
    return ExitReasonAnswer(
        id=found.id,
        name=found.name,
        status=state.status if state else "removed",
        exit_code=state.exit_code if state else found.exit_code,
        finished_at=format_moment(found.at),
        reason=found.reason.code,
        cause=found.reason.cause,
        action=found.reason.action,
    )


async def container_rename(request: Request) -> Reply:
    await request.app.update.rename(request.params["id"], request.text("name"))
    return Response(204)


async def container_update(request: Request) -> Reply:
    body = await request.json(UpdateBody)
    policy = to_restart_policy(body.restart_policy) if body.restart_policy and body.restart_policy.name else None
    await request.app.update.update(request.params["id"], to_resources(body), policy)
    return json_response(UpdateAnswer(warnings=[]))


async def container_remove(request: Request) -> Reply:
    await request.app.removal.remove(
        request.params["id"],
        force=request.flag("force"),
        volumes=request.flag("v"),
        link=request.flag("link"),
        force_protected=request.flag("force-protected"),
    )
    return Response(204)
