"""`container inspect`."""

from corten.cli.flags import Flag, Values
from corten.cli.inspecting import FORMAT_FLAG, Kind, inspect_all
from corten.cli.kinds import BOOL
from corten.cli.output.shapes import CONTAINER
from corten.cli.session import Action, Session
from corten.client.api import quoted


def container_kind(*, size: bool) -> Kind:
    query = {"size": "1"} if size else None
    return Kind("container", CONTAINER, lambda api, name: api.get_raw(f"/containers/{quoted(name)}/json", query), "No such container")


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    return inspect_all(session, arguments, values.text("format"), [container_kind(size=values.on("size"))])


INSPECT = Action(inspect, (FORMAT_FLAG, Flag("size", BOOL, "Sizes of files too", short="s")))
