"""All of BuildKit's face for one engine: its services on control connections, its clients' sessions."""

from collections.abc import Sequence

from corten.api.app import Services
from corten.api.buildkit.bridge import Bridge
from corten.api.buildkit.control import Control
from corten.api.buildkit.jobs import Jobs
from corten.api.buildkit.session.contexts import KeptContexts
from corten.api.buildkit.session.sessions import Sessions
from corten.api.buildkit.solving import Solving
from corten.engine.tasks import Tasks
from corten.http.grpc.calls import dispatch
from corten.http.grpc.connection import Connection
from corten.http.request import Hijacked


class Face:
    """Belongs to the event loop."""

    def __init__(self, services: Services, tasks: Tasks) -> None:
        self._sessions = Sessions()
        self._kept = KeptContexts()
        solving, jobs = Solving(services=services, sessions=self._sessions, kept=self._kept, tasks=tasks), Jobs()
        self._serve = dispatch({**Control(solving, jobs).methods(), **Bridge(solving, jobs).methods()})

    async def control(self, taken: Hijacked) -> None:
        with taken:
            await Connection(taken, self._serve).run()

    async def session(self, taken: Hijacked, session_id: str, shared_key: str, methods: Sequence[str]) -> None:
        with taken:
            await self._sessions.serve(taken, session_id, shared_key, methods)

    def forget(self) -> None:
        self._kept.forget()
