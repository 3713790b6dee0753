"""Agents inside a RUN: a socket that passes connections on."""

import asyncio
import os
import tempfile
from pathlib import Path

from corten.build.files.ssh_agent import Channel, agent_socket


def test_passes_both_ways_and_ends_with_the_block(tmp_path: Path) -> None:
    async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(64)).upper())
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(agent, tmp_path / "agent")

        async def connect() -> Channel:
            return await asyncio.open_unix_connection(tmp_path / "agent")

        async with agent_socket(connect, tempfile.mkdtemp(), owner=(os.getuid(), os.getgid()), mode=0o600) as path:
            assert os.stat(path).st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"ping")
            assert await reader.read() == b"PING"
            writer.close()
        assert not os.path.exists(path)
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_no_agent_any_more_closes_the_connection() -> None:
    async def connect() -> None:
        return None

    async def main() -> None:
        async with agent_socket(connect, tempfile.mkdtemp(), owner=(os.getuid(), os.getgid()), mode=0o600) as path:
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(main())
