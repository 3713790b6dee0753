"""`network connect` and `network disconnect`."""

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, INT, STRING, STRINGS
from corten.cli.options.networking import LINKS, Attachment
from corten.cli.session import Action, Session
from corten.client.urls import quoted


def connect(session: Session, values: Values, arguments: list[str]) -> int:
    network, container = arguments
    place = Attachment(network)
    place.aliases = values.texts("alias")
    place.ip, place.ip6 = values.text("ip"), values.text("ip6")
    place.link_local, place.links = values.texts("link-local-ip"), values.texts("link")
    place.driver_options = dict(o.partition("=")[::2] for o in values.texts("driver-opt"))
    place.priority = values.number("gw-priority")
    endpoint = place.endpoint()
    said = {"Links": place.links or None, "Aliases": place.aliases, "DriverOpts": place.driver_options}
    settings = {**endpoint, **said, "IPAMConfig": endpoint["IPAMConfig"] or {}}
    session.api.post(f"/networks/{quoted(network)}/connect", body={"Container": container, "EndpointConfig": settings})
    return 0


def disconnect(session: Session, values: Values, arguments: list[str]) -> int:
    network, container = arguments
    session.api.post(f"/networks/{quoted(network)}/disconnect", body={"Container": container, "Force": values.on("force")})
    return 0


CONNECT = Action(
    connect,
    (
        Flag("alias", STRINGS, "Further name on the network"),
        Flag("driver-opt", STRINGS, "Option of the driver (name=value)"),
        Flag("gw-priority", INT, "The network with the highest gives the default gateway"),
        Flag("ip", STRING, "IPv4 address"),
        Flag("ip6", STRING, "IPv6 address"),
        Flag("link", LINKS, "Link to another container (name[:alias])"),
        Flag("link-local-ip", STRINGS, "Link-local address"),
    ),
)
DISCONNECT = Action(disconnect, (Flag("force", BOOL, "Even when the container is in no state for it", short="f"),))
