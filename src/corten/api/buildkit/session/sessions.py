"""The sessions of clients: each is a connection on which the engine calls and the client serves."""

import asyncio
from collections.abc import Iterable
from typing import Final

from corten.errors import Invalid
from corten.http.grpc.connection import Connection
from corten.http.request import Hijacked

WAIT_SECONDS: Final = 5.0
"""How long a build waits for its session: both begin at the same time, on different connections."""


class ClientSession:
    """`shared_key` names the folder that the client builds from, the same for every build of it."""

    def __init__(self, connection: Connection, shared_key: str, methods: Iterable[str]) -> None:
        self.connection = connection
        self.shared_key = shared_key
        self._methods = frozenset(methods)

    def serves(self, path: str) -> bool:
        """Whether the client named that method when it came."""
        return path in self._methods


class Sessions:
    """Those that are open, by id. Belongs to the event loop."""

    def __init__(self) -> None:
        self._open: dict[str, ClientSession] = {}
        self._opened = asyncio.Condition()

    async def serve(self, taken: Hijacked, session_id: str, shared_key: str, methods: Iterable[str]) -> None:
        """Until the client leaves."""
        session = ClientSession(Connection(taken), shared_key, methods)
        announcing = asyncio.ensure_future(self._announce(session_id, session))
        try:
            await session.connection.run()
        finally:
            await announcing
            if self._open.get(session_id) is session:
                del self._open[session_id]

    async def get(self, session_id: str) -> ClientSession:
        """Raises Invalid when there is none, nor comes one soon."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._opened:
                await self._opened.wait_for(lambda: session_id in self._open)
                return self._open[session_id]
        except TimeoutError:
            raise Invalid(f"no active session for {session_id}: context deadline exceeded", reason="no-session") from None

    async def _announce(self, session_id: str, session: ClientSession) -> None:
        await asyncio.sleep(0)  # the connection has begun
        async with self._opened:
            self._open[session_id] = session
            self._opened.notify_all()
