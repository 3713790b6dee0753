"""The calls that give a client a container's streams: attach, logs, resize. The socket goes to the monitor."""

from corten.api.request import Request
from corten.api.types.containers import TopAnswer
from corten.api.versions import chooses_websocket_streams, stream_type, websocket_opcode
from corten.api.wire import json_response
from corten.engine.containers.streams import LogQuery
from corten.engine.timestamps import parse_unix
from corten.errors import Invalid
from corten.http.response import TAKEN, Reply, Response, encode_plain_head
from corten.http.websocket import VERSION, BadHandshake, accept_handshake
from corten.monitor.values import AttachOptions


async def container_attach(request: Request) -> Reply:
    ref, streams = request.params["id"], request.app.streams
    options: AttachOptions = {
        "stdin": request.flag("stdin"),
        "stdout": request.flag("stdout"),
        "stderr": request.flag("stderr"),
        "stream": request.flag("stream"),
        "logs": request.flag("logs"),
        "framed": not streams.is_tty(ref),
        "detach_keys": request.text("detachKeys"),
    }
    if request.headers.get("content-length"):
        await request.body()  # some clients send their options as JSON; it is nothing that was typed
    async with streams.attaching(ref, options["detach_keys"]):
        with await request.hijack_stream(multiplexed=options["framed"]) as taken:
            await streams.attach(ref, options, taken.fileno(), taken.initial)
    return TAKEN


async def container_attach_ws(request: Request) -> Reply:
    ref, streams, chosen = request.params["id"], request.app.streams, chooses_websocket_streams(request.version)
    streams.is_tty(ref)
    try:
        fields = accept_handshake(request.headers)
    except BadHandshake as error:
        return Response(400, str(error).encode(), "text/plain; charset=utf-8", (("Sec-WebSocket-Version", VERSION),))
    options: AttachOptions = {
        "stdin": not chosen or request.flag("stdin"),
        "stdout": not chosen or request.flag("stdout"),
        "stderr": not chosen or request.flag("stderr"),
        "stream": request.flag("stream"),
        "logs": request.flag("logs"),
        "framed": False,
        "detach_keys": request.text("detachKeys"),
    }
    async with streams.attaching(ref, options["detach_keys"]):
        with await request.http.hijack_websocket(fields, websocket_opcode(request.version)) as taken:
            await streams.attach(ref, options, taken.fileno())
    return TAKEN


async def container_logs(request: Request) -> Reply:
    ref, streams = request.params["id"], request.app.streams
    query = _log_query(request)
    streams.check_logs(ref)
    fields = (
        ("Content-Type", stream_type(request.version, multiplexed=not streams.is_tty(ref))),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    )
    head = encode_plain_head("HTTP/1.1 200 OK", fields).decode("latin-1")
    with await request.http.take_socket() as taken:
        await streams.logs(ref, query, taken.fileno(), head=head)
    return TAKEN


async def container_resize(request: Request) -> Reply:
    height, width = terminal_size(request)
    await request.app.streams.resize(request.params["id"], height, width)
    return Response(200)


async def container_top(request: Request) -> Reply:
    table = await request.app.streams.top(request.params["id"], request.text("ps_args"))
    return json_response(TopAnswer(titles=list(table.titles), processes=[list(row) for row in table.rows]))


def terminal_size(request: Request) -> tuple[int, int]:
    """`h` and `w`. Raises Invalid in Docker's words."""
    return _dimension(request.text("h"), "height"), _dimension(request.text("w"), "width")


def _dimension(text: str, name: str) -> int:
    if not text.removeprefix("-").removeprefix("+").isdecimal():
        raise Invalid(f'invalid resize {name} "{text}": invalid syntax', reason="bad-terminal-size")
    if not 0 <= int(text) < 1 << 32:
        raise Invalid(f'invalid resize {name} "{text}": value out of range', reason="bad-terminal-size")
    return min(int(text), 0xFFFF)


def _log_query(request: Request) -> LogQuery:
    stdout, stderr = request.flag("stdout"), request.flag("stderr")
    if not stdout and not stderr:
        raise Invalid("Bad parameters: you must choose at least one stream", reason="no-stream")
    tail = request.text("tail")
    since, until = request.text("since"), request.text("until")
    return LogQuery(
        follow=request.flag("follow"),
        stdout=stdout,
        stderr=stderr,
        since=max(0, parse_unix(since)) if since else 0,
        until=max(0, parse_unix(until)) if until else 0,
        tail=int(tail) if tail.isdecimal() and len(tail) < 19 else -1,  # more than 64 bits hold means all, as in Docker
        timestamps=request.flag("timestamps"),
        details=request.flag("details"),
    )
