"""`images`: the list of images, one row per name."""

from collections.abc import Iterator, Mapping
from typing import Any

from corten.cli.cleanup.beyond import LAST_USED, with_image_marks
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, show
from corten.cli.output.units import ago, go_time, short_id
from corten.cli.session import Action, Session
from corten.client.api import filters_query
from corten.units import human_size

Json = Mapping[str, Any]
NOTHING = "<none>"


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    quiet = values.on("quiet")
    filters = values.items("filter") + ([("reference", arguments[0])] if arguments else [])
    query = {**({"all": "1"} if values.on("all") else {}), **filters_query(filters)}
    if values.on("tree"):
        return _tree(session, values, query)
    images = session.api.get("/images/json", query)
    format = chosen(session, values.text("format"), "imagesFormat", quiet=quiet)
    digests = values.on("digests")
    wants_digest = digests or ".Digest" in format or format == "json"
    rows = [row for image in images for row in _rows(image, digests=wants_digest and (digests or ".Digest" in format))]
    listing = image_listing(whole=values.on("no-trunc"), digests=digests)
    if ".LastUsed" in format:
        listing, rows = with_last_use(listing), with_image_marks(session, rows)
    show(session, listing, rows, format=format, quiet=quiet)
    return 0


def _tree(session: Session, values: Values, query: Mapping[str, str]) -> int:
    unfit = (("quiet", values.on("quiet")), ("no-trunc", values.on("no-trunc")), ("show-digest", values.on("digests")))
    for name, is_on in (*unfit, ("format", bool(values.text("format")))):
        if is_on:
            raise Failure(f"--{name} is not yet supported with --tree")
    from corten.cli.image.tree import show_tree

    show_tree(session, session.api.get("/images/json", {**query, "manifests": "1"}), every=values.on("all"))
    return 0


def _rows(image: Json, *, digests: bool) -> Iterator[Json]:
    """One row per tag; per tag and digest when digests are asked for; one of `<none>` for an image without a name."""
    tags: dict[str, list[str]] = {}
    for name in image.get("RepoTags") or ():
        repository, _, tag = name.rpartition(":")
        tags.setdefault(repository, []).append(tag)
    known: dict[str, list[str]] = {}
    for name in image.get("RepoDigests") or ():
        repository, _, digest = name.partition("@")
        known.setdefault(repository, []).append(digest)
    tags.pop(NOTHING, None)
    if not tags and not known:
        yield {**image, "repository": NOTHING, "tag": NOTHING, "digest": NOTHING}
    for repository in [*tags, *(r for r in known if r not in tags)]:
        for tag in tags.get(repository, [NOTHING]):
            listed = known.get(repository, [NOTHING]) if digests or repository not in tags else [NOTHING]
            for digest in listed if digests else listed[:1]:
                yield {**image, "repository": repository, "tag": tag, "digest": digest}


def image_listing(*, whole: bool, digests: bool) -> Listing:
    columns = {
        "ID": Column("IMAGE ID", lambda row: row["Id"] if whole else short_id(row["Id"])),
        "Repository": Column("REPOSITORY", lambda row: row["repository"]),
        "Tag": Column("TAG", lambda row: row["tag"]),
        "Digest": Column("DIGEST", lambda row: row["digest"]),
        "CreatedSince": Column("CREATED", lambda row: ago(row["Created"])),
        "CreatedAt": Column("CREATED AT", lambda row: go_time(row["Created"])),
        "Size": Column("SIZE", lambda row: human_size(row["Size"], 3)),
        "Containers": Column("CONTAINERS", lambda row: _count(row.get("Containers", -1))),
        "VirtualSize": Column("SIZE", lambda row: human_size(row["Size"])),
        "SharedSize": Column("SHARED SIZE", lambda row: _shared(row.get("SharedSize", -1))),
        "UniqueSize": Column("UNIQUE SIZE", _unique),
    }
    table = ("Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size")
    return Listing("*formatter.imageContext", columns, table, "ID")


def with_last_use(listing: Listing) -> Listing:
    """With columns that Docker does not have; they are not there unless they are asked for, for the sake of `--format json`."""
    return listing._replace(columns={**listing.columns, **LAST_USED})


def _count(number: int) -> str:
    return "N/A" if number == -1 else str(number)


def _shared(size: int) -> str:
    return "N/A" if size == -1 else human_size(size)


def _unique(row: Json) -> str:
    shared = row.get("SharedSize", -1)
    return "N/A" if row["Size"] == -1 or shared == -1 else human_size(row["Size"] - shared)


LS = Action(
    ls,
    (
        Flag("all", BOOL, "Intermediate images too", short="a"),
        Flag("digests", BOOL, "Show digests"),
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        LIST_FORMAT_FLAG,
        Flag("no-trunc", BOOL, "Shorten nothing"),
        Flag("quiet", BOOL, "Only ids", short="q"),
        Flag("tree", BOOL, "Each image with its platforms"),
    ),
)
