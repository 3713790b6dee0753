"""TLS for the blocking client: the handshake, then a thread that pumps between the encrypted socket and a plain one.

So whoever uses the connection has a plain socket in every case: it can be selected on, half-closed and read from one thread
while another writes, none of which `ssl.SSLSocket` offers.
"""

import selectors
import socket
import ssl
import threading
from _socket import socket as Socket
from typing import Final

from corten.errors import Unavailable
from corten.http.address import TlsFiles

READ_SIZE: Final = 256 * 1024


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Docker's client settings: TLS 1.2 or later; without `verify` any server certificate is taken."""
    context = ssl.create_default_context(cafile=files.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # From Python 3.13 on the default refuses authorities without a key usage, as the usual openssl recipes make them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.cert:
        context.load_cert_chain(files.cert, files.key or files.cert)
    return context


def open_tls(sock: Socket, host: str, files: TlsFiles) -> Socket:
    """A plain socket that speaks to `host` through TLS over `sock`, which it takes over. Raises Unavailable (`tls-failed`)."""
    timeout = sock.gettimeout()
    wire = socket.socket(fileno=sock.detach())
    wire.settimeout(timeout)
    try:
        session = _Session(wire, client_context(files), host)
        session.shake_hands()
    except (ssl.SSLError, OSError) as error:
        wire.close()
        raise Unavailable(f"TLS with the engine at {host} failed: {error}", reason="tls-failed") from error
    wire.setblocking(False)
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    threading.Thread(target=session.pump, args=(mine,), name="corten-tls", daemon=True).start()
    plain = Socket(fileno=theirs.detach())
    plain.settimeout(timeout)
    return plain


class _Session:
    def __init__(self, wire: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._to_wire = bytearray()
        self._to_user = bytearray()
        self._user_ended = self._wire_ended = False

    def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._wire.sendall(self._outgoing.read())
                data = self._wire.recv(READ_SIZE)
                if not data:
                    raise ConnectionResetError("the engine closed the connection") from None
                self._incoming.write(data)
            else:
                self._wire.sendall(self._outgoing.read())
                return

    def pump(self, user: socket.socket) -> None:
        """Runs until both directions have ended, or one side is gone."""
        with self._wire, user, selectors.DefaultSelector() as selector:
            selector.register(user, selectors.EVENT_READ)
            selector.register(self._wire, selectors.EVENT_READ)
            try:
                while not (self._user_ended and self._wire_ended and not self._to_wire and not self._to_user):
                    selector.modify(user, self._interest(self._user_ended, self._to_wire, self._to_user))
                    selector.modify(self._wire, self._interest(self._wire_ended, self._to_user, self._to_wire))
                    for key, events in selector.select():
                        self._step(user, key.fileobj is user, events)
            except OSError:
                return  # one side is gone: closing both tells the other

    @staticmethod
    def _interest(ended: bool, full: bytearray, waiting: bytearray) -> int:
        """Read unless this side has ended or the other is behind; write when something waits. Never 0: errors must wake us."""
        reading = 0 if ended or len(full) > READ_SIZE else selectors.EVENT_READ
        return (reading | (selectors.EVENT_WRITE if waiting else 0)) or selectors.EVENT_WRITE

    def _step(self, user: socket.socket, is_user: bool, events: int) -> None:
        sock, waiting = (user, self._to_user) if is_user else (self._wire, self._to_wire)
        if events & selectors.EVENT_WRITE and waiting:
            del waiting[: sock.send(waiting)]
        if events & selectors.EVENT_READ:
            data = sock.recv(READ_SIZE)
            if is_user:
                self._from_user(data)
            else:
                self._from_wire(data)
        if self._wire_ended and not self._to_user:
            user.shutdown(socket.SHUT_WR)

    def _from_user(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
        else:
            self._user_ended = True
            try:
                self._tls.unwrap()
            except ssl.SSLError:  # "want read": close_notify is out, the engine's own may come later
                pass
        self._to_wire += self._outgoing.read()

    def _from_wire(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            while plain := self._tls.read(READ_SIZE):
                self._to_user += plain
        except ssl.SSLWantReadError:
            self._wire_ended = not data
        except ssl.SSLZeroReturnError:
            self._wire_ended = True
        self._to_wire += self._outgoing.read()
