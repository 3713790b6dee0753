"""`search`: images that a registry's index knows."""

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER, INT
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, show
from corten.cli.output.units import ellipsis
from corten.cli.session import Action, Session
from corten.client.api import filters_query
from corten.client.credentials import registry_header


def search(session: Session, values: Values, arguments: list[str]) -> int:
    term = arguments[0]
    first = term.partition("/")[0]
    domain = first if "/" in term and any(c in first for c in ".:") else "docker.io"
    query = {"term": term, **filters_query(values.items("filter"))}
    if values.number("limit"):
        query["limit"] = str(values.number("limit"))
    headers = {"X-Registry-Auth": registry_header(session.config, domain)}
    rows = session.api.call("GET", "/images/search", query, headers=headers).json()
    show(session, search_listing(whole=values.on("no-trunc")), rows, format=values.text("format"))
    return 0


def search_listing(*, whole: bool) -> Listing:
    def description(row: dict[str, str]) -> str:
        text = row["description"].replace("\n", " ").replace("\r", " ").strip()
        return text if whole else ellipsis(text, 45)

    columns = {
        "Name": Column("NAME", lambda row: row["name"]),
        "Description": Column("DESCRIPTION", description),
        "StarCount": Column("STARS", lambda row: str(row["star_count"])),
        "IsOfficial": Column("OFFICIAL", lambda row: "[OK]" if row.get("is_official") else ""),
        "IsAutomated": Column("AUTOMATED", lambda row: "[OK]" if row.get("is_automated") else ""),
    }
    return Listing("*formatter.SearchContext", columns, ("Name", "Description", "StarCount", "IsOfficial"), "Name")


SEARCH = Action(
    search,
    (
        Flag("filter", FILTER, "Only those that match (name=value)", short="f"),
        LIST_FORMAT_FLAG,
        Flag("limit", INT, "At most so many"),
        Flag("no-trunc", BOOL, "Shorten nothing"),
    ),
)
