"""The clients of one process' streams."""

import socket
from collections.abc import Callable

from corten.monitor.loop import Loop
from corten.monitor.stdio.client import Client


class Audience:
    """A client is in it from when it is admitted until its socket is closed. Its clients' `Host`."""

    def __init__(self, on_input_ended: Callable[[], None], on_detached: Callable[[], None]) -> None:
        self._clients: list[Client] = []
        self._on_input_ended = on_input_ended
        self._on_detached = on_detached

    def admit(self, loop: Loop, sock: socket.socket, *, framed: bool) -> Client:
        """A client without streams yet; the socket is its own."""
        client = Client(loop, sock, self, framed=framed)
        self._clients.append(client)
        return client

    def end(self) -> None:
        """Let every client's stream end when it has what there is."""
        for client in list(self._clients):
            client.finish()

    def client_input_ended(self) -> None:
        self._on_input_ended()

    def client_detached(self) -> None:
        self._on_detached()

    def client_gone(self, client: Client) -> None:
        self._clients.remove(client)
