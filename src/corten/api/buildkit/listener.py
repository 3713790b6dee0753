"""Takes the connections of BuildKit's clients. The gRPC server is imported with the first of them: an idle engine does not carry it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corten.engine.tasks import Tasks
from corten.http.request import Hijacked

if TYPE_CHECKING:
    from corten.api.buildkit.server import Server
    from corten.api.services import Services


class BuildKitListener:
    """Belongs to the event loop. Connections run as `tasks`: they end with the daemon."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._server: Server | None = None

    def control(self, services: "Services", taken: Hijacked) -> None:
        """Serves a client's calls on that socket, which is ours from now on."""
        self._tasks.spawn(self._opened(services).control(taken), "a BuildKit client")

    def session(self, services: "Services", taken: Hijacked, session_id: str, shared_key: str, methods: Sequence[str]) -> None:
        """Calls that client's services over that socket, which is ours from now on, whenever a build asks."""
        self._tasks.spawn(self._opened(services).session(taken, session_id, shared_key, methods), "a BuildKit session")

    def forget(self) -> None:
        """Removes contexts that are kept for later builds."""
        if self._server is not None:
            self._server.forget()

    def _opened(self, services: "Services") -> "Server":
        if self._server is None:
            from corten.api.buildkit.server import Server

            self._server = Server(services, self._tasks)
        return self._server
