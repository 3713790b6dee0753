"""`load`, `save` and `import`: images as tar archives."""

import os
import sys
from collections.abc import Iterable, Iterator

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, LIST, STRING, STRINGS
from corten.cli.output.files import write_stream
from corten.cli.output.progress import show_progress
from corten.cli.references import named, platform_json
from corten.cli.session import Action, Session

PIECE = 1 << 20
TAR_TYPE = {"Content-Type": "application/x-tar"}


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, PIECE):
        yield piece


def load(session: Session, values: Values, arguments: list[str]) -> int:
    path = values.text("input")
    fd = _opened(path) if path else _standard_input()
    query: dict[str, str | list[str]] = {"quiet": "1"} if values.on("quiet") or not session.out.isatty() else {"quiet": "0"}
    if platforms := values.texts("platform"):
        query["platform"] = [platform_json(p) for p in platforms]
    answer = session.api.call("POST", "/images/load", query, stream=_pieces(fd), headers=TAR_TYPE)
    if answer.headers.get("content-type", "").startswith("application/json"):
        show_progress(answer.json_lines(), session.out)
    else:
        session.out.write(answer.read().decode("utf-8", "replace"))
    return 0


def _standard_input() -> int:
    if sys.stdin.isatty():
        raise Failure("requested load from stdin, but stdin is empty")
    return 0


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def save(session: Session, values: Values, arguments: list[str]) -> int:
    query: dict[str, str | list[str]] = {"names": arguments}
    if platforms := values.texts("platform"):
        query["platform"] = [platform_json(p) for p in platforms]

    def pieces() -> Iterable[bytes]:
        return session.api.call("GET", "/images/get", query).pieces()

    write_stream(session, values.text("output"), pieces, failing="failed to save image")
    return 0


def import_(session: Session, values: Values, arguments: list[str]) -> int:
    source, name = arguments[0], arguments[1] if len(arguments) > 1 else ""
    if name:
        named(name)
    query: dict[str, str | list[str]] = {"fromSrc": source if "://" in source else "-"}
    if name:
        query["repo"] = name
    if values.text("message"):
        query["message"] = values.text("message")
    if changes := values.texts("change"):
        query["changes"] = changes
    if values.text("platform"):
        query["platform"] = values.text("platform")
    stream = None if "://" in source else _pieces(0 if source == "-" else _opened(source))
    answer = session.api.call("POST", "/images/create", query, stream=stream, headers=TAR_TYPE if stream else None)
    show_progress(answer.json_lines(), session.out)
    return 0


LOAD = Action(
    load,
    (
        Flag("input", STRING, "Archive to read instead of stdin", short="i"),
        Flag("platform", STRINGS, "Only this platform (os[/arch[/variant]])"),
        Flag("quiet", BOOL, "Do not show progress", short="q"),
    ),
)
SAVE = Action(
    save,
    (
        Flag("output", STRING, "File to write instead of stdout", short="o"),
        Flag("platform", STRINGS, "Only this platform (os[/arch[/variant]])"),
    ),
)
IMPORT = Action(
    import_,
    (
        Flag("change", LIST, "Dockerfile instruction to apply", short="c"),
        Flag("message", STRING, "Message that the history shows", short="m"),
        Flag("platform", STRING, "Platform of the image (os[/arch[/variant]])"),
    ),
)
