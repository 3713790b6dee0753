"""`context`: named engines, kept where Docker keeps them, so that both CLIs see the same."""

import re
from collections.abc import Iterator
from typing import Any

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING, csv_fields
from corten.cli.output.formats import FORMAT_FLAG, LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, show
from corten.cli.session import Action, Session
from corten.client.contexts import DEFAULT, Context, ContextMissing, ContextStore
from corten.client.endpoint import DEFAULT_HOST, environment_host
from corten.units import TRUE

NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
ENDPOINT_KEYS = ("host", "ca", "cert", "key", "skip-tls-verify", "from")
DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"


def _store(session: Session) -> ContextStore:
    return ContextStore(session.config.folder)


def default_context(session: Session) -> Context:
    """What is used when no context is chosen: the environment's engine or Corten's own."""
    return Context(DEFAULT, environment_host(session.environ) or DEFAULT_HOST, description=DEFAULT_DESCRIPTION)


def _get(session: Session, name: str) -> Context:
    if name == DEFAULT:
        return default_context(session)
    try:
        return _store(session).get(name)
    except ContextMissing as missing:
        raise Failure(str(missing)) from None


def _checked_name(name: str) -> str:
    if name == DEFAULT:
        raise Failure(f'"{DEFAULT}" is a reserved context name')
    if re.fullmatch(NAME, name) is None:
        raise Failure(f'context name "{name}" is invalid, names are validated against regexp "{NAME}"')
    return name


def create(session: Session, values: Values, arguments: list[str]) -> int:
    name, store = _checked_name(arguments[0]), _store(session)
    if name in store.names():
        raise Failure(f'context "{name}" already exists')
    source = _get(session, values.text("from") or session.context)
    context, pem = _described(session, values, Context(name, source.host, description=source.description, skip_verify=source.skip_verify))
    if not values.given("docker"):
        pem = {file: _read(path) for file, path in source.tls.items()}
    store.save(context, pem)
    session.say_now(name)
    session.warn(f'Successfully created context "{name}"')
    return 0


def update(session: Session, values: Values, arguments: list[str]) -> int:
    name = _checked_name(arguments[0])
    context, pem = _described(session, values, _get(session, name))
    _store(session).save(context, pem)
    session.say_now(name)
    session.warn(f'Successfully updated context "{name}"')
    return 0


def _described(session: Session, values: Values, base: Context) -> tuple[Context, dict[str, bytes]]:
    """`base` with what --description and --docker say, and the TLS files to keep with it."""
    description = values.text("description") if values.given("description") else base.description
    if not values.given("docker"):
        return Context(base.name, base.host, description=description, skip_verify=base.skip_verify), {}
    fields = dict(_endpoint_fields(values.text("docker")))
    if source := fields.get("from"):
        base = _get(session, source)
    pem = {f"{key}.pem": _read(fields[key]) for key in ("ca", "cert", "key") if fields.get(key)}
    skip = fields.get("skip-tls-verify", "").lower() in TRUE
    return Context(base.name, fields.get("host", base.host), description=description, skip_verify=skip), pem


def _endpoint_fields(text: str) -> Iterator[tuple[str, str]]:
    for field in csv_fields(text):
        key, _, value = field.partition("=")
        if key not in ENDPOINT_KEYS:
            raise Failure(f"unable to create docker endpoint config: unrecognized config key: {key}")
        yield key, value


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"unable to create docker endpoint config: open {path}: {(error.strerror or '').lower()}") from None


def ls(session: Session, values: Values, arguments: list[str]) -> int:
    current, store = session.context, _store(session)
    contexts = sorted([default_context(session), *map(store.get, store.names())], key=lambda c: c.name)

    def name(context: Context) -> str:
        return f"{context.name} *" if context.name == current else context.name

    plain = values.text("format") or values.on("quiet")
    columns = {
        "Name": Column("NAME", (lambda c: c.name) if plain else name),
        "Description": Column("DESCRIPTION", lambda c: c.description),
        "DockerEndpoint": Column("DOCKER ENDPOINT", lambda c: c.host),
        "Error": Column("ERROR", lambda _: ""),
        "Current": Column("CURRENT", lambda c: c.name == current),
    }
    table = Listing("*formatter.clientContextContext", columns, ("Name", "Description", "DockerEndpoint", "Error"), "Name")
    show(session, table, contexts, format=values.text("format"), quiet=values.on("quiet"))
    if variable := _overriding(session):
        session.warn(
            f"Warning: {variable} environment variable overrides the active context. "
            f"To use a context, either set the global --context flag, or unset {variable} environment variable."
        )
    return 0


def _overriding(session: Session) -> str:
    """The variable that makes the current context idle."""
    return next((v for v in ("CORTEN_HOST", "DOCKER_HOST") if session.environ.get(v)), "") if session.context == DEFAULT else ""


def inspect(session: Session, values: Values, arguments: list[str]) -> int:
    from corten.cli.output.inspected import parse_template, through
    from corten.cli.template.encode import as_json, go_json
    from corten.cli.template.parser import TemplateError

    found, problems = [], []
    for name in arguments or [session.context]:
        try:
            found.append(_details(session, _get(session, name)))
        except Failure as failure:
            problems.append(failure.message)
    format = values.text("format")
    if format and format != "json":
        try:
            template = parse_template(format)
            session.say("\n".join(through(template, go_json(one).encode(), None) for one in found))
        except TemplateError as error:
            problems.append(str(error))
    else:
        session.say(go_json(found) if format else as_json(found))
    for problem in problems:
        session.warn(problem)
    return 1 if problems else 0


def _details(session: Session, context: Context) -> dict[str, Any]:
    details = context.metadata()
    if context.name == DEFAULT:
        details["Metadata"] = {}
        paths = {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"}
    else:
        store = _store(session)
        paths = {"MetadataPath": store.meta_folder(context.name), "TLSPath": store.tls_folder(context.name)}
    return {**details, "TLSMaterial": {"docker": sorted(context.tls)} if context.tls else {}, "Storage": paths}


def rm(session: Session, values: Values, arguments: list[str]) -> int:
    status = 0
    for name in arguments:
        try:
            _remove(session, name, force=values.on("force"))
            session.say_now(name)
        except (Failure, ContextMissing) as problem:
            session.warn(str(problem))
            status = 1
    return status


def _remove(session: Session, name: str, *, force: bool) -> None:
    if name == DEFAULT:
        raise Failure(f'context "{DEFAULT}" cannot be removed')
    if name == session.config.text("currentContext"):
        if not force:
            raise Failure(f'context "{name}" is in use, set -f flag to force remove')
        session.config.save({"currentContext": None})
    _store(session).remove(name)


def use(session: Session, values: Values, arguments: list[str]) -> int:
    name = arguments[0]
    _get(session, name)
    session.config.save({"currentContext": None if name == DEFAULT else name})
    session.say_now(name)
    session.warn(f'Current context is now "{name}"')
    if name != DEFAULT and (variable := _overriding(session)):
        session.warn(f"Warning: {variable} environment variable overrides the active context.")
    return 0


def show_current(session: Session, values: Values, arguments: list[str]) -> int:
    session.say(session.context)
    return 0


DOCKER_FLAG = Flag("docker", STRING, "The engine: host=…[,ca=…,cert=…,key=…,skip-tls-verify=…]")
DESCRIPTION = Flag("description", STRING, "What it is")
CREATE = Action(create, (DESCRIPTION, DOCKER_FLAG, Flag("from", STRING, "Context to copy")))
UPDATE = Action(update, (DESCRIPTION, DOCKER_FLAG))
LS = Action(ls, (LIST_FORMAT_FLAG, Flag("quiet", BOOL, "Only names", short="q")))
INSPECT = Action(inspect, (FORMAT_FLAG,))
RM = Action(rm, (Flag("force", BOOL, "Even the current one", short="f"),))
USE = Action(use)
SHOW = Action(show_current)
