"""`logs`: what a container has printed, with --follow what it prints."""

from corten.cli.container.attached import ERR, OUT
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.options.moments import parse_moment
from corten.cli.session import Action, Session
from corten.cli.terminal.conversation import write_all
from corten.client.urls import quoted
from corten.http.frames import STDERR, FrameDecoder


def logs(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.api.get(f"/containers/{quoted(arguments[0])}/json")
    query = {"stdout": "1", "stderr": "1", **_range(values)}
    query |= {name: "1" for name in ("follow", "timestamps", "details") if values.on(name)}
    if values.text("tail") not in {"", "all"}:
        query["tail"] = values.text("tail")
    answer = session.api.call("GET", f"/containers/{found['Id']}/logs", query)
    session.out.flush()
    decoder = None if found["Config"]["Tty"] else FrameDecoder()
    for data in answer.pieces():
        if decoder is None:
            write_all(OUT, data)
            continue
        for stream, piece in decoder.feed(data):
            write_all(ERR if stream == STDERR else OUT, piece)
    return 0


def _range(values: Values) -> dict[str, str]:
    query = {}
    for name in ("since", "until"):
        if text := values.text(name):
            try:
                query[name] = parse_moment(text)
            except ValueError as error:
                raise Failure(f'invalid value for "{name}": {error}') from None
    return query


LOGS = Action(
    logs,
    (
        Flag("details", BOOL, "Show labels and variables that go with each line"),
        Flag("follow", BOOL, "Go on with what is printed from now on", short="f"),
        Flag("since", STRING, "From a moment on (2013-01-02T13:23:37Z), or so long ago (42m)"),
        Flag("tail", STRING, "Number of lines to show from the end", short="n", default="all"),
        Flag("timestamps", BOOL, "Show when each line was printed", short="t"),
        Flag("until", STRING, "Up to a moment (2013-01-02T13:23:37Z), or so long ago (42m)"),
    ),
)
