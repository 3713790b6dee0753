"""The exec calls: create, start, resize, inspect."""

import asyncio

from msgspec import UNSET

from corten.api.handlers.container.streams import terminal_size
from corten.api.request import Request
from corten.api.types.exec import ExecBody, ExecInspect, ExecProcess, ExecStartBody, IdAnswer
from corten.api.types.host_config import string_list
from corten.api.wire import json_response
from corten.engine.values.exec import ExecConfig
from corten.errors import EngineError
from corten.http.frames import STDOUT, encode_frame
from corten.http.request import Hijacked
from corten.http.response import TAKEN, Reply, Response


async def exec_create(request: Request) -> Reply:
    body = await request.json(ExecBody)
    config = ExecConfig(
        cmd=string_list(body.cmd),
        user=body.user or "",
        privileged=bool(body.privileged),
        tty=bool(body.tty),
        attach_stdin=bool(body.attach_stdin),
        attach_stdout=bool(body.attach_stdout),
        attach_stderr=bool(body.attach_stderr),
        detach_keys=body.detach_keys or "",
        env=tuple(body.env or ()),
        working_dir=body.working_dir or "",
        console_size=_console_size(body.console_size),
    )
    return json_response(IdAnswer(id=request.app.execs.create(request.params["id"], config)), 201)


async def exec_start(request: Request) -> Reply:
    """Once the head is out, a failure can only be told in the stream, as Docker does, a second start too; the exit code is in inspect.

    Whether the stream has frames goes by this request's Tty, whatever the exec was made with.
    """
    exec_id, execs = request.params["id"], request.app.execs
    body = await request.json(ExecStartBody, default=ExecStartBody())
    execs.check_startable(exec_id)
    size = _console_size(body.console_size)
    if body.detach:
        await execs.start(exec_id, sock_fd=None, console_size=size)
        return Response(200)
    framed = not body.tty
    with await request.hijack_stream(multiplexed=framed) as taken:
        try:
            await execs.start(exec_id, sock_fd=taken.fileno(), initial=taken.initial, console_size=size, framed=framed)
        except EngineError as error:
            await _tell(taken, f"{error.message}\r\n".encode(), framed=framed)
    return TAKEN


async def _tell(client: Hijacked, text: bytes, *, framed: bool) -> None:
    """A client that is gone already need not be told."""
    try:
        await asyncio.get_running_loop().sock_sendall(client.sock, encode_frame(STDOUT, text) if framed else text)
    except ConnectionError:
        return


async def exec_resize(request: Request) -> Reply:
    exec_id = request.params["id"]
    request.app.execs.get(exec_id)
    height, width = terminal_size(request)
    await request.app.execs.resize(exec_id, height, width)
    return Response(200)


async def exec_inspect(request: Request) -> Reply:
    found = request.app.execs.get(request.params["id"])
    config = found.config
    process = ExecProcess(
        tty=config.tty,
        entrypoint=config.cmd[0],
        arguments=list(config.cmd[1:]),
        privileged=config.privileged,
        user=config.user or UNSET,
    )
    return json_response(
        ExecInspect(
            id=found.id,
            running=found.running,
            exit_code=found.exit_code,
            process_config=process,
            open_stdin=config.attach_stdin,
            open_stderr=config.attach_stderr,
            open_stdout=config.attach_stdout,
            container_id=found.container_id,
            detach_keys=config.detach_keys,
            pid=found.pid,
        )
    )


def _console_size(size: list[int] | None) -> tuple[int, int]:
    height, width = [*(size or ()), 0, 0][:2]
    return height, width
