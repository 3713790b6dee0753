"""`inspect` of any kind of object: kinds are tried in Docker's order until one knows the name."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING, go_quoted
from corten.cli.output.listing import ONE_FORMAT_HELP
from corten.cli.output.shapes import Shape
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.errors import ApiError, CannotConnect

CHOICES = '"container", "image", "network", "volume"'
FORMAT_FLAG = Flag("format", STRING, ONE_FORMAT_HELP, short="f")


class Kind(NamedTuple):
    """`fetch` gives an object's JSON as the engine sent it; `missing` is what the engine says when there is none."""

    name: str
    shape: Shape
    fetch: Callable[[Api, str], bytes]
    missing: str


def inspect_all(session: Session, names: Sequence[str], format: str, kinds: Sequence[Kind]) -> int:
    """Prints all that were found, reports the others; the status is 1 when one was missing or a template failed."""
    from corten.cli.output.inspected import parse_template
    from corten.cli.template.parser import TemplateError

    template = None
    if format and format != "json":
        try:
            template = parse_template(format)
        except TemplateError as error:
            raise Failure(str(error)) from None
    found: list[tuple[Kind, bytes]] = []
    problems = []
    for name in names:
        try:
            found.append(_find(session.api, name, kinds))
        except (ApiError, CannotConnect, LookupError) as error:
            problems.append(str(error.args[0]) if isinstance(error, LookupError) else str(error))
    if template is None:
        _print_json(session, found, one_line=format == "json")
    else:
        problems = _print_through(session, template, found) or problems
    for problem in problems:
        session.warn(problem)
    return 1 if problems else 0


def _find(api: Api, name: str, kinds: Sequence[Kind]) -> tuple[Kind, bytes]:
    """Raises the engine's error when only one kind is asked for, LookupError when none of several has it."""
    for kind in kinds:
        try:
            return kind, kind.fetch(api, name)
        except ApiError as error:
            if len(kinds) == 1 or error.status not in {400, 404, 500, 501}:
                raise
            if error.status == 500 and "No such" not in error.message:
                raise
    raise LookupError(f"Error: No such object: {name}")


def _print_json(session: Session, found: Sequence[tuple[Kind, bytes]], *, one_line: bool) -> None:
    import json

    from corten.cli.output.inspected import as_json
    from corten.cli.template.encode import go_json

    objects = [json.loads(raw) for _, raw in found]
    session.say(go_json(objects) if one_line else as_json(objects))


def _print_through(session: Session, template: Any, found: Sequence[tuple[Kind, bytes]]) -> list[str]:
    """The template's lines; what went wrong in it, which ends the list."""
    from corten.cli.output.inspected import through
    from corten.cli.template.parser import TemplateError

    for kind, raw in found:
        try:
            session.say(through(template, raw, kind.shape))
        except TemplateError as error:
            session.say()
            return [str(error)]
    if not found:
        session.say()
    return []


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    from corten.cli.container.inspecting import container_kind
    from corten.cli.image.inspecting import image_kind
    from corten.cli.network.listing import network_kind
    from corten.cli.volume.volumes import volume_kind

    kinds = {
        "container": container_kind(size=values.on("size")),
        "image": image_kind(),
        "network": network_kind(),
        "volume": volume_kind(),
    }
    wanted = values.text("type")
    if values.given("type") and not wanted:
        raise Failure(f"type is empty: must be one of {CHOICES}")
    if wanted and wanted not in kinds:
        raise Failure(f"unknown type: {go_quoted(wanted)}: must be one of {CHOICES}")
    return inspect_all(session, arguments, values.text("format"), [kinds[wanted]] if wanted else list(kinds.values()))


INSPECT = Action(
    inspect,
    (
        FORMAT_FLAG,
        Flag("size", BOOL, "Sizes of a container's files too", short="s"),
        Flag("type", STRING, "Look only among objects of one kind (container, image, network, volume)"),
    ),
)
