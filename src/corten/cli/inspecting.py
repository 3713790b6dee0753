"""`inspect`: objects of one kind, or of any: kinds are tried in Docker's order until one knows the name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.output.formats import FORMAT_FLAG
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import quoted
from corten.quoting import go_quoted

BAD_TEMPLATE = 64
UNKNOWN = frozenset({400, 404, 501})
"""Statuses after which the next kind is tried: no such object, no such name, no such kind."""


class Kind(NamedTuple):
    """Where the engine has an object's JSON, and the name of its shape in `output.shapes`, for templates.

    `marks`: where a Corten engine has more members of it.
    """

    path: str
    shape: str
    query: Mapping[str, str] | None = None
    marks: str = ""


KINDS = {
    "container": Kind("/containers/{}/json", "CONTAINER"),
    "image": Kind("/images/{}/json", "IMAGE"),
    "network": Kind("/networks/{}", "NETWORK"),
    "volume": Kind("/volumes/{}", "VOLUME", marks="/corten/volumes/{}"),
}
CHOICES = ", ".join(f'"{name}"' for name in KINDS)
Found = tuple[Kind, bytes]


def inspect_all(session: Session, names: Sequence[str], format: str, *kinds: Kind) -> int:
    """Prints all that were found, reports the others; the status is 1 when one was missing or a template failed."""
    template = _template(format) if format and format != "json" else None
    found: list[Found] = []
    problems = []
    for name in names:
        try:
            found.append(_find(session.api, name, kinds))
        except (ApiError, CannotConnect) as error:
            problems.append(str(error))
        except LookupError as error:
            problems.append(str(error.args[0]))
    if template is None:
        _print_json(session, found, one_line=format == "json")
    else:
        problems = _print_through(session, template, found) or problems
    for problem in problems:
        session.warn(problem)
    return 1 if problems else 0


def _template(format: str) -> Any:
    from corten.cli.output.inspected import parse_template
    from corten.cli.template.parser import TemplateError

    try:
        return parse_template(format)
    except TemplateError as error:
        raise Failure(str(error), BAD_TEMPLATE) from None


def _find(api: Api, name: str, kinds: Sequence[Kind]) -> Found:
    """Raises the engine's error when only one kind is asked for, LookupError when none of several has it."""
    for kind in kinds:
        try:
            marks = _marks(api, kind, name)
            return kind, _merged(api.get_raw(kind.path.format(quoted(name)), kind.query), marks)
        except ApiError as error:
            if len(kinds) == 1 or error.status not in UNKNOWN:
                raise
    raise LookupError(f"Error: No such object: {name}")


def _marks(api: Api, kind: Kind, name: str) -> Mapping[str, Any]:
    """Nothing where the engine is not Corten or has no such object."""
    try:
        return (api.get(kind.marks.format(quoted(name))) or {}) if kind.marks else {}
    except ApiError:
        return {}


def _merged(raw: bytes, marks: Mapping[str, Any]) -> bytes:
    if not marks:
        return raw
    import json

    return json.dumps({**json.loads(raw), **marks}).encode()


def _print_json(session: Session, found: Sequence[Found], *, one_line: bool) -> None:
    import json

    from corten.cli.template.encode import as_json, go_json

    objects = [json.loads(raw) for _, raw in found]
    session.say(go_json(objects) if one_line else as_json(objects))


def _print_through(session: Session, template: Any, found: Sequence[Found]) -> list[str]:
    """The template's lines; what went wrong in it, which ends the list."""
    from corten.cli.output import shapes
    from corten.cli.output.inspected import through
    from corten.cli.template.parser import TemplateError

    for kind, raw in found:
        try:
            session.say(through(template, raw, vars(shapes)[kind.shape]))
        except TemplateError as error:
            session.say()
            return [str(error)]
    if not found:
        session.say()
    return []


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    wanted = values.text("type")
    if values.given("type") and not wanted:
        raise Failure(f"type is empty: must be one of {CHOICES}")
    if wanted and wanted not in KINDS:
        raise Failure(f"unknown type: {go_quoted(wanted)}: must be one of {CHOICES}")
    sized = {"size": "1"} if values.on("size") else None
    kinds = {**KINDS, "container": KINDS["container"]._replace(query=sized)}
    return inspect_all(session, arguments, values.text("format"), *([kinds[wanted]] if wanted else kinds.values()))


def inspect_containers(session: Session, values: Values, arguments: list[str]) -> int:
    sized = {"size": "1"} if values.on("size") else None
    return inspect_all(session, arguments, values.text("format"), KINDS["container"]._replace(query=sized))


def inspect_images(session: Session, values: Values, arguments: list[str]) -> int:
    query = None
    if platform := values.text("platform"):
        from corten.cli.references import platform_json

        query = {"platform": platform_json(platform)}
    return inspect_all(session, arguments, values.text("format"), KINDS["image"]._replace(query=query))


def inspect_networks(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"verbose": "true"} if values.on("verbose") else None
    return inspect_all(session, arguments, values.text("format"), KINDS["network"]._replace(query=query))


def inspect_volumes(session: Session, values: Values, arguments: list[str]) -> int:
    return inspect_all(session, arguments, values.text("format"), KINDS["volume"])


SIZE_FLAG = Flag("size", BOOL, "Sizes of a container's files too", short="s")
INSPECT = Action(
    inspect,
    (FORMAT_FLAG, SIZE_FLAG, Flag("type", STRING, "Look only among objects of one kind (container, image, network, volume)")),
)
CONTAINERS = Action(inspect_containers, (FORMAT_FLAG, SIZE_FLAG))
IMAGES = Action(inspect_images, (FORMAT_FLAG, Flag("platform", STRING, "Platform of a multi-platform image (os[/arch[/variant]])")))
NETWORKS = Action(inspect_networks, (FORMAT_FLAG, Flag("verbose", BOOL, "More details", short="v")))
VOLUMES = Action(inspect_volumes, (FORMAT_FLAG,))
