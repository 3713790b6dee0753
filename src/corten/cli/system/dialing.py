"""`system dial-stdio`: stdin and stdout are the engine's socket, for clients that come through ssh."""

import os
from _thread import start_new_thread

from corten.cli.flags import Values
from corten.cli.session import Action, Session
from corten.cli.terminal.conversation import write_all
from corten.client.errors import CannotConnect

SIZE = 64 * 1024


def dial_stdio(session: Session, values: Values, arguments: list[str]) -> int:
    import socket

    address = session.api.endpoint.address
    try:
        if address.scheme == "unix":
            link = socket.socket(socket.AF_UNIX)
            link.connect(address.path)
        else:
            link = socket.create_connection((address.host, address.port))
    except OSError as error:
        raise CannotConnect(f"failed to open the raw stream connection: {error}") from None

    def send() -> None:
        while data := os.read(0, SIZE):
            link.sendall(data)
        link.shutdown(socket.SHUT_WR)

    start_new_thread(send, ())
    while data := link.recv(SIZE):
        write_all(1, data)
    return 0


DIAL_STDIO = Action(dial_stdio)
