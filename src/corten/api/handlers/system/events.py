"""`/events`: what happened and what happens, one JSON object a line, or a JSON sequence for a client whose `Accept` names it."""

from collections.abc import AsyncIterator

from msgspec import UNSET

from corten.api.content_type import JSON, JSON_SEQUENCE, JSON_STREAMS, RECORD_SEPARATOR, match_accept
from corten.api.filters import parse_filters
from corten.api.request import Request
from corten.api.types.events import EventActor, EventAnswer
from corten.api.wire import encode
from corten.engine.events import Event
from corten.engine.timestamps import parse_unix
from corten.errors import Invalid
from corten.http.response import Reply, Stream

_WITH_OLD_FIELDS = ("container", "image")


async def events(request: Request) -> Reply:
    since_text, until_text = request.text("since"), request.text("until")
    since = parse_unix(since_text) if since_text else None
    until = parse_unix(until_text) if until_text else None
    if since is not None and until is not None and since > until:
        raise Invalid(f"`since` time ({since_text}) cannot be after `until` time ({until_text})", reason="bad-time")
    filters = parse_filters(request.text("filters"), None)
    content_type = match_accept(request.headers.tokens("accept"), JSON_STREAMS) or JSON
    lead = RECORD_SEPARATOR if content_type == JSON_SEQUENCE else b""
    return Stream(_lines(request.app.events.stream(filters, since=since, until=until), lead), content_type)


async def _lines(stream: AsyncIterator[Event], lead: bytes) -> AsyncIterator[bytes]:
    async for event in stream:
        yield lead + encode(event_answer(event))


def event_answer(event: Event) -> EventAnswer:
    """Prunings have no actor, so their old id is empty and left out."""
    old = event.type in _WITH_OLD_FIELDS
    return EventAnswer(
        status=event.action if old else UNSET,
        id=event.actor if old and event.actor else UNSET,
        sender=event.attributes["image"] if event.type == "container" and "image" in event.attributes else UNSET,
        type=event.type,
        action=event.action,
        actor=EventActor(id=event.actor, attributes=dict(event.attributes)),
        time=event.time // 1_000_000_000,
        time_nano=event.time,
    )
