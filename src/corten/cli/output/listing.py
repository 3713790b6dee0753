"""Lists: rows of computed columns as a table, as JSON lines, or through the user's template."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.errors import Failure
from corten.cli.output.tables import aligned
from corten.cli.session import Session

Getter = Callable[..., Any]


class Column(NamedTuple):
    """`header` stands over the column; `get` computes the cell from a row's data."""

    header: str
    get: Getter


class Listing(NamedTuple):
    """The columns of one kind of list by their template names, those of the usual table, and Go's name for the row type."""

    type_name: str
    columns: Mapping[str, Column]
    table: tuple[str, ...]
    identity: str
    """What --quiet prints."""


def show(session: Session, listing: Listing, rows: Iterable[Any], *, format: str, quiet: bool = False) -> None:
    """Prints rows. `format` is --format or the configuration's, "" for the usual table."""
    if quiet and format in {"", "table"}:
        get = listing.columns[listing.identity].get
        session.out.write("".join(f"{get(row)}\n" for row in rows))
    elif format in {"", "table"}:
        _usual_table(session, listing, rows)
    else:
        _through_template(session, listing, rows, format)


def _usual_table(session: Session, listing: Listing, rows: Iterable[Any]) -> None:
    """The common case without the template engine."""
    columns = [listing.columns[name] for name in listing.table]
    lines = ["\t".join(c.header for c in columns), *("\t".join(str(c.get(row)) for c in columns) for row in rows)]
    session.out.write("\n".join(aligned(lines)) + "\n")


_OF_LISTS = ("template parsing error", "template parsing error")
_OF_PS = ("failed to parse template", "failed to execute template")
"""What is said when a template cannot be parsed, or executed: `docker ps` says it otherwise than the others."""


def _through_template(session: Session, listing: Listing, rows: Iterable[Any], format: str) -> None:
    from corten.cli.template.evaluator import Template
    from corten.cli.template.functions import DOCKER, HEADER
    from corten.cli.template.parser import TemplateError
    from corten.cli.template.values import Record

    is_table = format.startswith("table")
    source = "{{json .}}" if format == "json" else (format.removeprefix("table") if is_table else format).strip(" ")
    source = source.replace("\\t", "\t").replace("\\n", "\n")
    wrong = _OF_PS if listing.type_name == "*formatter.ContainerContext" else _OF_LISTS
    getters = {name: column.get for name, column in listing.columns.items()}
    try:
        template = Template(source, DOCKER)
    except TemplateError as error:
        raise Failure(f"{wrong[0]}: {error}") from None
    lines = []
    try:
        for row in rows:
            lines.append(template.execute(Record(listing.type_name, getters, row)))
    except TemplateError as error:
        raise Failure(f"{wrong[1]}: {error}") from None
    if is_table:
        headers: dict[str, Getter] = {name: _heading(column) for name, column in listing.columns.items()}
        headers["Label"] = lambda _, name: name.rpartition(".")[2].replace("-", " ").replace("_", " ")
        heading = Template(source, HEADER).execute(Record("formatter.SubHeaderContext", headers, None))
        lines = aligned("\n".join([heading, *lines]).split("\n"))
    if lines:
        session.out.write("\n".join(lines) + "\n")


def _heading(column: Column) -> Getter:
    return lambda _: column.header


def label_text(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items()))


def chosen(session: Session, given: str, setting: str, *, quiet: bool = False) -> str:
    """The format in force: --format, the configuration's unless --quiet, or "". With `ps`, --quiet wins over --format, and says so."""
    if setting == "psFormat" and given and quiet and given not in {"table", "json"}:
        session.warn("WARNING: Ignoring custom format, because both --format and --quiet are set.")
        return ""
    return given or ("" if quiet else session.config.text(setting))


def texts(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
