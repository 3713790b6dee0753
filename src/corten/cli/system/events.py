"""`events`: what happens in the engine, as it happens."""

import json
from collections.abc import Callable, Mapping
from time import localtime, strftime
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import FILTER, STRING
from corten.cli.output.formats import ONE_FORMAT_HELP
from corten.cli.output.shapes import EVENT, typed
from corten.cli.session import Action, Session
from corten.client.api import filters_query

FORMAT_STATUS = 64
Json = Mapping[str, Any]


def events(session: Session, values: Values, arguments: list[str]) -> int:
    shown = _printer(values.text("format"))
    query = {name: _moment(values.text(name)) for name in ("since", "until") if values.text(name)}
    answer = session.api.call("GET", "/events", {**query, **filters_query(values.items("filter"))})
    for raw in answer.lines():
        if raw.strip():
            session.say_now(shown(raw))
    return 0


def _moment(text: str) -> str:
    from corten.cli.options.moments import parse_moment

    try:
        return parse_moment(text)
    except ValueError as error:
        raise Failure(str(error)) from None


def _printer(format: str) -> Callable[[bytes], str]:
    """How one event, given as JSON, becomes a line. Raises Failure for a template that can never work."""
    if not format:
        return lambda raw: event_line(json.loads(raw))
    if format == "json":
        return lambda raw: raw.decode("utf-8", "replace").strip()
    from corten.cli.template.evaluator import Template
    from corten.cli.template.functions import DOCKER
    from corten.cli.template.parser import TemplateError

    try:
        template = Template(format, DOCKER)
        template.execute(_event({}))
    except TemplateError as error:
        raise Failure(f"Error parsing format: {error}", FORMAT_STATUS) from None
    return lambda raw: template.execute(_event(json.loads(raw)))


def _event(content: Json) -> Any:
    value = typed({"Actor": {}, **content}, EVENT)
    value.type_name = "*events.Message"
    return value


def event_line(event: Json) -> str:
    """`2026-11-24T04:59:45.695057042Z container create ID (image=x, name=y)`."""
    seconds, nano = divmod(event.get("timeNano") or event.get("time", 0) * 10**9, 10**9)
    zone = strftime("%z", localtime(seconds))
    shown_zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    moment = f"{strftime('%Y-%m-%dT%H:%M:%S', localtime(seconds))}.{nano:09d}{shown_zone}"
    actor = event.get("Actor") or {}
    attributes = ", ".join(f"{k}={v}" for k, v in sorted((actor.get("Attributes") or {}).items()))
    line = f"{moment} {event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    return f"{line} ({attributes})" if attributes else line


EVENTS = Action(
    events,
    (
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        Flag("format", STRING, ONE_FORMAT_HELP),
        Flag("since", STRING, "Also those since a moment, or so long ago (42m)"),
        Flag("until", STRING, "End at a moment, or so long ago (42m)"),
    ),
)
