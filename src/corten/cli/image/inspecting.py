"""`image inspect`."""

from corten.cli.flags import Flag, Values
from corten.cli.inspecting import FORMAT_FLAG, Kind, inspect_all
from corten.cli.kinds import STRING
from corten.cli.output.shapes import IMAGE
from corten.cli.references import platform_json
from corten.cli.session import Action, Session
from corten.client.api import quoted


def image_kind(platform: str = "") -> Kind:
    query = {"platform": platform_json(platform)} if platform else None
    return Kind("image", IMAGE, lambda api, name: api.get_raw(f"/images/{quoted(name)}/json", query), "No such image")


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    return inspect_all(session, arguments, values.text("format"), [image_kind(values.text("platform"))])


INSPECT = Action(inspect, (FORMAT_FLAG, Flag("platform", STRING, "Platform of a multi-platform image (os[/arch[/variant]])")))
