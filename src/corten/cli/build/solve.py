"""`build` against a Corten engine: one request that carries everything, status messages back, then the outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.build.call import answer, parse_call
from corten.cli.build.context import local_context, stdin_context
from corten.cli.build.display import make_display
from corten.cli.build.local_context import ContextUpload, post_build, read_definition, reads_local_contexts
from corten.cli.build.multipart import MULTIPART_TYPE, RequestParts, retarred
from corten.cli.build.outputs import ExportedImage, Output, read_outputs, stored_names
from corten.cli.build.report import failure_text, warnings_text
from corten.cli.build.solve_options import read_agents, read_attestations, read_caches, read_contexts, read_secrets
from corten.cli.build.status import SolveStatus
from corten.cli.build.unsupported import is_reproducible, refuse_unsupported
from corten.cli.errors import Failure
from corten.cli.flags import Values
from corten.cli.session import Session
from corten.client.configfile import ConfigFile
from corten.client.urls import quoted
from corten.units import parse_bool

TRACE_ID = "corten.build.trace"
OCI_LAYOUT = "oci-layout://"
REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
Query = dict[str, str | list[str]]


class Solved(NamedTuple):
    """`image` is its id, "" for a check; `is_new`: the engine had no such image before; `provenance` as the metadata file has it."""

    image: str
    is_new: bool
    provenance: Mapping[str, Any] = {}


def solve(session: Session, values: Values, query: Query, where: str) -> int:
    refuse_unsupported(values)
    call = parse_call(values.text("call"), check=values.on("check"))
    outputs = read_outputs(values.texts("output"), push=values.on("push"), load=values.on("load"), split=_wants_platforms(values))
    tags = [str(tag) for tag in values.texts("tag")]
    query["t"] = stored_names(outputs, tags)
    query.pop("cachefrom", None)  # sent among the parts
    parts = _parts(session, values)
    parts.options["call"] = call.method
    has_epoch = "SOURCE_DATE_EPOCH" in str(query.get("buildargs", ""))
    parts.options["reproducible"] = is_reproducible(values, (output.rewrite for output in outputs), has_epoch=has_epoch)
    upload = _upload(session, parts, query, where, values.text("file"))
    kind = "quiet" if values.on("quiet") else values.text("progress")
    progress = SolveStatus()
    built = _built(session, query, upload, progress, kind)
    if call.method != "build":
        text, status = answer(call, progress)
        session.say(text)
        return status
    if kind not in ("quiet", "rawjson") and (text := warnings_text(progress.warnings, long=session.debug)):
        session.warn(text)
    try:
        delivered = _deliver(session, outputs, built.image, tags)
    finally:
        kept = _kept(session, outputs, built)
    if values.on("check-reproducible") and kind not in ("quiet", "rawjson"):
        session.warn(f"Reproducible: two builds gave {built.image}")
    if values.on("quiet"):
        session.say(built.image if kept else "")
    write_id(values.text("iidfile"), built.image)
    if path := values.text("metadata-file"):
        from corten.cli.build.exporters import metadata, write_metadata

        names = tags or [name for output in outputs for name in output.names]
        write_metadata(path, built.provenance, metadata(session, built.image if kept else "", names, delivered))
    return 0


def _upload(session: Session, parts: RequestParts, query: Query, where: str, file: str) -> ContextUpload:
    """The upload; `query` gets the name of the Dockerfile in the context."""
    if where == "-":
        stream, query["dockerfile"] = stdin_context(file)
        return ContextUpload(parts, retarred(stream))
    if where.startswith(REMOTE):
        query |= {"remote": where, "dockerfile": file or "Dockerfile"}
        return ContextUpload(parts)
    if not reads_local_contexts(session.api):
        stream, query["dockerfile"] = local_context(where, file, root="context")
        return ContextUpload(parts, stream)
    definition = read_definition(where, file)
    query["dockerfile"] = definition.name
    return ContextUpload(parts, folder=where, definition=definition)


def _wants_platforms(values: Values) -> bool:
    """BUILDKIT_MULTI_PLATFORM: the form that a result for several platforms has, for one, too."""
    given = [text.partition("=")[2] for text in values.texts("build-arg") if text.startswith("BUILDKIT_MULTI_PLATFORM=")]
    if not given or not given[-1]:
        return False
    try:
        return parse_bool(given[-1])
    except ValueError:
        raise Failure(f"ERROR: failed to build: failed to solve: invalid boolean value for multi-platform: {given[-1]}") from None


def _deliver(session: Session, outputs: Sequence[Output], image: str, tags: Sequence[str]) -> list[ExportedImage]:
    if not any(output.is_elsewhere for output in outputs):
        return []
    from corten.cli.build.exporters import export_image

    return [delivered for output in outputs for delivered in export_image(session, output, image, tags)]


def _kept(session: Session, outputs: Sequence[Output], built: Solved) -> bool:
    """Whether the engine keeps the image. One that was made for outputs elsewhere goes again, unless somebody named it meanwhile."""
    if any(output.is_stored for output in outputs):
        return True
    if built.is_new and not session.api.get(f"/images/{quoted(built.image)}/json")["RepoTags"]:
        session.api.delete(f"/images/{quoted(built.image)}")
    return False


def _parts(session: Session, values: Values) -> RequestParts:
    folders, others = read_contexts(values.texts("build-context"))
    others = {name: _sent(session, where) for name, where in others.items()}
    agents = read_agents(values.texts("ssh"), session.environ)
    if agents and not session.api.endpoint.host.startswith("unix://"):
        raise Failure(f"--ssh forwards agents to an engine on the same machine only; this one is at {session.api.endpoint.host}")
    provenance, sbom = read_attestations(values.text("sbom"), values.text("provenance"), values.texts("attest"))
    options: dict[str, Any] = {
        "no_cache_filter": values.texts("no-cache-filter"),
        "allow": values.texts("allow"),
        "ssh": agents,
        "contexts": others,
        "ca": values.text("ca"),
        "provenance": provenance,
        "sbom": sbom,
        "check_reproducible": values.on("check-reproducible"),
        "cache_to": read_caches(values.texts("cache-to"), "cache-to", session.api.endpoint.host),
        "cache_from": read_caches(values.texts("cache-from"), "cache-from", session.api.endpoint.host),
    }
    return RequestParts(options, read_secrets(values.texts("secret"), session.environ), folders)


def _sent(session: Session, where: str) -> str:
    """A named context that is no folder, as the engine takes it."""
    if not where.startswith(OCI_LAYOUT):
        return where
    from corten.cli.build.oci_layout import sent_layout

    return f"docker-image://{sent_layout(session, where)}"


def _credentials(config: ConfigFile) -> dict[str, str]:
    if not config.table("auths") and not config.table("credHelpers"):
        return {}
    from corten.client.credentials import all_credentials, encode_header

    return {"X-Registry-Config": encode_header(all_credentials(config))}


def _built(session: Session, query: Query, upload: ContextUpload, progress: SolveStatus, kind: str) -> Solved:
    """Raises Failure with all that is to be said."""
    display = make_display(kind, progress, session.err)
    headers = {"Content-Type": MULTIPART_TYPE, **_credentials(session.config)}
    built, failed = Solved("", is_new=False), ""
    with post_build(session.api, query, upload, headers) as told:
        for message in told.json_lines():
            if message.get("id") == TRACE_ID:
                display(message["aux"])
            elif isinstance(aux := message.get("aux"), dict):
                built = Solved(str(aux["ID"]), is_new=bool(aux.get("New")), provenance=aux.get("Provenance") or {})
            elif message.get("error"):
                failed = str(message["error"])
    display(None)
    if failed:
        if progress.warnings and kind not in ("quiet", "rawjson"):
            session.warn(warnings_text(progress.warnings, long=session.debug))
        raise Failure(failure_text(progress) if progress.failure else f"ERROR: failed to build: {failed}")
    return built


def write_id(path: str, image: str) -> None:
    if path:
        with open(path, "w", encoding="ascii") as file:
            file.write(image)
