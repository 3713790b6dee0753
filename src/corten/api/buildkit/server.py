"""BuildKit's gRPC server for one engine: its services on control connections, and the sessions of its clients."""

from collections.abc import Sequence

from corten.api.buildkit.control import Control
from corten.api.buildkit.jobs import Jobs
from corten.api.buildkit.llbbridge import LLBBridge
from corten.api.buildkit.session.local_sources import LocalSources
from corten.api.buildkit.session.sessions import Sessions
from corten.api.buildkit.solver import Solver
from corten.api.services import Services
from corten.engine.tasks import Tasks
from corten.http.grpc.calls import dispatch
from corten.http.grpc.connection import Connection
from corten.http.request import Hijacked


class Server:
    """Belongs to the event loop."""

    def __init__(self, services: Services, tasks: Tasks) -> None:
        self._sessions = Sessions()
        self._local_sources = LocalSources()
        solver, jobs = Solver(services=services, sessions=self._sessions, local_sources=self._local_sources, tasks=tasks), Jobs()
        self._serve = dispatch({**Control(solver, jobs).methods(), **LLBBridge(solver, jobs).methods()})

    async def control(self, taken: Hijacked) -> None:
        with taken:
            await Connection(taken, self._serve).run()

    async def session(self, taken: Hijacked, session_id: str, shared_key: str, methods: Sequence[str]) -> None:
        with taken:
            await self._sessions.serve(taken, session_id, shared_key, methods)

    def forget(self) -> None:
        self._local_sources.forget()
