"""`ps`: the list of containers."""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER, INT
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, label_text, show
from corten.cli.output.units import ago, ellipsis, go_time, short_id
from corten.cli.session import Action, Session
from corten.client.api import filters_query
from corten.quoting import go_quoted
from corten.units import human_size

Json = Mapping[str, Any]
TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
RAW = (
    "container_id: {{.ID}}\\nimage: {{.Image}}\\ncommand: {{.Command}}\\ncreated_at: {{.CreatedAt}}\\nstate: {{- pad .State 1 0}}\\n"
    "status: {{- pad .Status 1 0}}\\nnames: {{.Names}}\\nlabels: {{- pad .Labels 1 0}}\\nports: {{- pad .Ports 1 0}}\\n"
)


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    quiet, format = values.on("quiet"), chosen(session, values.text("format"), "psFormat", quiet=values.on("quiet"))
    size = values.on("size") or ".Size" in format or "json ." in format
    query = {
        "all": "1" if values.on("all") else "",
        "limit": "1" if values.on("latest") else str(values.number("last")) if values.number("last") > 0 else "",
        "size": "1" if size else "",
        **filters_query(values.items("filter")),
    }
    rows = session.api.get("/containers/json", {k: v for k, v in query.items() if v})
    listing = container_listing(whole=values.on("no-trunc"), size=values.on("size"))
    if values.text("format") == "raw":
        format = "container_id: {{.ID}}" if quiet else RAW + ("size: {{.Size}}\\n" if size else "")
    show(session, listing, rows, format=format, quiet=quiet)
    return 0


def container_listing(*, whole: bool, size: bool = False) -> Listing:
    """`whole`: nothing is shortened."""

    def mounts(row: Json) -> str:
        names = [m.get("Name") or m.get("Source", "") for m in row.get("Mounts") or ()]
        return ",".join(n if whole else ellipsis(n, 15) for n in names)

    columns = {
        "ID": Column("CONTAINER ID", lambda row: row["Id"] if whole else short_id(row["Id"])),
        "Names": Column("NAMES", lambda row: _names(row.get("Names") or (), whole=whole)),
        "Image": Column("IMAGE", lambda row: row["Image"] if whole else _image(row)),
        "Command": Column("COMMAND", lambda row: go_quoted(row["Command"] if whole else ellipsis(row["Command"], 20))),
        "CreatedAt": Column("CREATED AT", lambda row: go_time(row["Created"])),
        "RunningFor": Column("CREATED", lambda row: ago(row["Created"])),
        "Ports": Column("PORTS", lambda row: ports_text(row.get("Ports") or ())),
        "State": Column("STATE", lambda row: row["State"]),
        "Status": Column("STATUS", lambda row: row["Status"]),
        "Size": Column("SIZE", _size),
        "Labels": Column("LABELS", lambda row: label_text(row.get("Labels"))),
        "Label": Column("LABEL", lambda row, name: (row.get("Labels") or {}).get(name, "")),
        "Mounts": Column("MOUNTS", mounts),
        "LocalVolumes": Column("LOCAL VOLUMES", lambda row: str(sum(m.get("Driver") == "local" for m in row.get("Mounts") or ()))),
        "Platform": Column("PLATFORM", lambda row: (row.get("ImageManifestDescriptor") or {}).get("platform")),
        "Networks": Column("NETWORKS", lambda row: ",".join((row.get("NetworkSettings") or {}).get("Networks") or {})),
    }
    return Listing("*formatter.ContainerContext", columns, (*TABLE, "Size") if size else TABLE, "ID")


def _names(names: Sequence[str], *, whole: bool) -> str:
    """Without the slash before them; names that come from links are shown only on request."""
    bare = [n.removeprefix("/") for n in names]
    own = next((n for n in bare if "/" not in n), None)
    return ",".join(bare if whole or own is None else [own])


def _image(row: Json) -> str:
    """A name in its short form, an id in twelve digits, a digest left out."""
    image = str(row["Image"])
    if not image:
        return "<no image>"
    identity = short_id(str(row.get("ImageID", "")))
    if identity == short_id(image):
        return identity
    if "@" not in image and not image.startswith(("docker.io/", "index.docker.io/")):
        return image
    from corten.cli.references import normalized

    try:
        familiar = normalized(image)[2]
    except ValueError:
        return image
    return familiar.partition("@")[0]


def _size(row: Json) -> str:
    own = human_size(row.get("SizeRw") or 0, 3)
    total = row.get("SizeRootFs") or 0
    return f"{own} (virtual {human_size(total, 3)})" if total > 0 else own


def ports_text(ports: Sequence[Json]) -> str:
    """`0.0.0.0:80->80/tcp, 90-92/udp`: runs of ports of one address that are published under their own number are drawn together."""
    ordered = sorted(ports, key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p["Type"]))
    finished: list[str] = []
    moved: list[str] = []
    runs: dict[tuple[str, str], tuple[int, int]] = {}
    for port in ordered:
        private, ip, kind = port["PrivatePort"], port.get("IP", ""), port["Type"]
        if ip and port.get("PublicPort", 0) != private:
            moved.append(f"{_joined(ip, str(port.get('PublicPort', 0)))}->{private}/{kind}")
            continue
        first, last = runs.get((ip, kind), (private, private - 1))
        if private != last + 1:
            finished.append(_run(ip, kind, first, last))
            first = private
        runs[ip, kind] = (first, private)
    return ", ".join([*finished, *(_run(*key, *run) for key, run in runs.items()), *moved])


def _run(ip: str, kind: str, first: int, last: int) -> str:
    span = str(first) if first == last else f"{first}-{last}"
    return f"{_joined(ip, span)}->{span}/{kind}" if ip else f"{span}/{kind}"


def _joined(ip: str, port: str) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


LS = Action(
    ls,
    (
        Flag("all", BOOL, "Stopped ones too", short="a"),
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        LIST_FORMAT_FLAG,
        Flag("last", INT, "Only the last so many that were created, in any state", short="n", default=-1),
        Flag("latest", BOOL, "Only the last one that was created, in any state", short="l"),
        Flag("no-trunc", BOOL, "Shorten nothing"),
        Flag("quiet", BOOL, "Only ids", short="q"),
        Flag("size", BOOL, "Sizes of files too", short="s"),
    ),
)
