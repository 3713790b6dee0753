"""Forwards an SSH agent into a RUN (`--mount=type=ssh`): a socket that passes connections on to the agent."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Channel = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_READ = 1 << 16


@asynccontextmanager
async def agent_socket(
    connect: Callable[[], Awaitable[Channel | None]], folder: str, *, owner: tuple[int, int], mode: int
) -> AsyncIterator[str]:
    """The path of a unix socket in `folder`; each connection to it becomes one that `connect` makes, until the block is left.

    The folder goes with it.
    """
    os.chmod(folder, 0o711)
    path = os.path.join(folder, "agent")
    open_ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = await connect()
        if channel is None:
            writer.close()
            return
        open_ends.update((writer, channel[1]))
        try:
            await asyncio.gather(_pass_on(reader, channel[1]), _pass_on(channel[0], writer))
        finally:
            open_ends.difference_update((writer, channel[1]))

    server = await asyncio.start_unix_server(serve, path)
    try:
        os.chown(path, *owner)
        os.chmod(path, mode)
        yield path
    finally:
        server.close()
        for writer in open_ends:
            writer.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_READ):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()
