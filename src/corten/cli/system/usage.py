"""`system df`: what takes disk space, and how much of it could be had back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.cleanup.beyond import tell_models, with_image_marks, with_volume_marks
from corten.cli.container.list import container_listing
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.image.list import image_listing, with_last_use
from corten.cli.kinds import BOOL
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, show
from corten.cli.output.units import ago, parse_rfc3339
from corten.cli.session import Action, Session
from corten.cli.volume.volumes import marked, volume_listing
from corten.units import human_size

Json = Mapping[str, Any]


class Usage(NamedTuple):
    """One kind of object: how many, how many in use, bytes in all, bytes that nobody uses. `share`: show the latter as a percentage too."""

    title: str
    total: int
    active: int
    size: int
    reclaimable: int
    share: bool = True


def df(session: Session, values: Values, arguments: list[str]) -> int:
    usage = session.api.get("/system/df")
    if values.on("verbose"):
        _verbose(session, usage, values.text("format"))
        return 0
    rows = summary(usage)
    show(session, USAGE, rows, format=values.text("format"))
    if not values.text("format"):
        tell_models(session, usage.get("Volumes") or ())
    return 0


def summary(usage: Json) -> list[Usage]:
    return [_images(usage), _containers(usage), _volumes(usage), _build_cache(usage)]


def _images(usage: Json) -> Usage:
    images = usage.get("Images") or ()
    layers = usage.get("LayersSize") or 0
    used = sum(i["Size"] - max(i.get("SharedSize", 0), 0) for i in images if i.get("Containers", 0) > 0 and i["Size"] != -1)
    return Usage("Images", len(images), sum(i.get("Containers", 0) > 0 for i in images), layers, max(layers - used, 0))


def _containers(usage: Json) -> Usage:
    rows = usage.get("Containers") or ()
    busy = {"running", "paused", "restarting"}
    size = sum(c.get("SizeRw") or 0 for c in rows)
    idle = sum(c.get("SizeRw") or 0 for c in rows if str(c.get("State")) not in busy)
    return Usage("Containers", len(rows), sum(str(c.get("State")) in busy for c in rows), size, idle)


def _volumes(usage: Json) -> Usage:
    data = [v.get("UsageData") or {} for v in usage.get("Volumes") or ()]
    sizes = [(max(d.get("Size", 0), 0), d.get("RefCount", 0)) for d in data]
    return Usage("Local Volumes", len(data), sum(n > 0 for _, n in sizes), sum(s for s, _ in sizes), sum(s for s, n in sizes if not n))


def _build_cache(usage: Json) -> Usage:
    entries = usage.get("BuildCache") or ()
    used = sum(e["Size"] for e in entries if e.get("InUse") and not e.get("Shared"))
    size = sum(e["Size"] for e in entries if not e.get("Shared"))
    return Usage("Build Cache", len(entries), sum(bool(e.get("InUse")) for e in entries), size, size - used, share=False)


def _reclaimable(row: Usage) -> str:
    text = human_size(row.reclaimable)
    share = row.share and (row.size > 0 if row.title != "Containers" else row.total > 0)
    return f"{text} ({row.reclaimable * 100 // row.size if row.size else 0}%)" if share else text


USAGE = Listing(
    "*formatter.diskUsageContext",
    {
        "Type": Column("TYPE", lambda row: row.title),
        "TotalCount": Column("TOTAL", lambda row: str(row.total)),
        "Active": Column("ACTIVE", lambda row: str(row.active)),
        "Size": Column("SIZE", lambda row: human_size(row.size)),
        "Reclaimable": Column("RECLAIMABLE", _reclaimable),
    },
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    "Type",
)


def _verbose(session: Session, usage: Json, format: str) -> None:
    images = [_one_name(image) for image in usage.get("Images") or ()]
    containers, volumes, cache = (usage.get(key) or [] for key in ("Containers", "Volumes", "BuildCache"))
    containers = [{**c, "SizeRootFs": 0} for c in containers]  # only what is their own takes space
    if format and format != "table":
        _verbose_formatted(session, (images, containers, volumes, cache), format)
        return
    images, volumes = with_image_marks(session, images), with_volume_marks(session, volumes)
    used = ["LastUsed"] if any("corten" in row for row in (*images, *volumes)) else []
    image_columns = _columns(with_last_use(image_listing(whole=False, digests=False)), *IMAGE_COLUMNS, *used)
    volume_columns = marked(_columns(volume_listing(), "Name", "Links", "Size", *used), volumes)
    tables: tuple[tuple[str, Listing, Sequence[Any]], ...] = (
        ("Images space usage:", image_columns, images),
        ("Containers space usage:", _columns(container_listing(whole=False), *CONTAINER_COLUMNS), containers),
        ("Local Volumes space usage:", volume_columns, volumes),
        (f"Build cache usage: {human_size(_build_cache(usage).size)}", CACHE, cache),
    )
    for at, (title, listing, rows) in enumerate(tables):
        session.say(f"{title}\n" if not at else f"\n{title}\n")
        show(session, listing, rows, format="")


IMAGE_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
CACHE = Listing(
    "*formatter.buildCacheContext",
    {
        "ID": Column("CACHE ID", lambda row: row["ID"][:12] + ("*" if row.get("InUse") else "")),
        "Parent": Column("PARENT", lambda row: ",".join(row.get("Parents") or ()) or row.get("Parent", "")),
        "CacheType": Column("CACHE TYPE", lambda row: row["Type"]),
        "Size": Column("SIZE", lambda row: human_size(row["Size"], 3)),
        "CreatedSince": Column("CREATED", lambda row: ago(parse_rfc3339(row["CreatedAt"]))),
        "LastUsedSince": Column("LAST USED", lambda row: ago(parse_rfc3339(row["LastUsedAt"])) if row.get("LastUsedAt") else ""),
        "UsageCount": Column("USAGE", lambda row: str(row.get("UsageCount", 0))),
        "Shared": Column("SHARED", lambda row: str(bool(row.get("Shared"))).lower()),
        "InUse": Column("IN USE", lambda row: str(bool(row.get("InUse"))).lower()),
        "Description": Column("DESCRIPTION", lambda row: row.get("Description", "")),
    },
    ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
    "ID",
)


def _columns(listing: Listing, *names: str) -> Listing:
    return listing._replace(table=names)


def _one_name(image: Json) -> Json:
    """The first name of an image stands for all."""
    repository, _, tag = ((image.get("RepoTags") or [""])[0]).rpartition(":")
    return {**image, "repository": repository or "<none>", "tag": tag or "<none>", "digest": ""}


def _verbose_formatted(session: Session, parts: tuple[list[Any], list[Any], list[Any], list[Any]], format: str) -> None:
    from corten.cli.template.evaluator import Template
    from corten.cli.template.functions import DOCKER
    from corten.cli.template.parser import TemplateError
    from corten.cli.template.values import Record, Struct

    listings = (image_listing(whole=True, digests=False), container_listing(whole=True), volume_listing(), CACHE)
    names = ("Images", "Containers", "Volumes", "BuildCache")

    subject = {
        name: [Record(listing.type_name, {n: c.get for n, c in listing.columns.items()}, row) for row in rows]
        for name, listing, rows in zip(names, listings, parts, strict=True)
    }
    try:
        text = Template("{{json .}}" if format == "json" else format, DOCKER).execute(Struct(subject, "formatter.diskUsageContext"))
    except TemplateError as error:
        raise Failure(str(error)) from None
    session.out.write(text)


DF = Action(df, (LIST_FORMAT_FLAG, Flag("verbose", BOOL, "Each object by itself", short="v")))
