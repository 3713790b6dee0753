"""TLS between a socket's transport and a protocol, with half-close in both directions.

asyncio's own TLS closes the connection as soon as the peer has sent close_notify; a docker client that has shut its sending
side (`echo | docker run -i`) still waits for output. So the record layer is driven here by `ssl.MemoryBIO`.

```
 socket ⇄ asyncio.Transport ⇄ TlsLayer (protocol; ssl.SSLObject on two MemoryBIOs) ⇄ TlsTransport ⇄ protocol above
```
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from corten.errors import Invalid

HANDSHAKE_SECONDS: Final = 60.0
READ_SIZE: Final = 256 * 1024
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"PRI ")
_LONGEST: Final = max(map(len, _METHODS))
_PLAIN_ANSWER: Final = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
logger = logging.getLogger(__name__)


def server_context(cert: Path, key: Path, *, client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, as dockerd. With `client_ca` (`--tlsverify`) clients must show a certificate that it signed.

    Invalid, with the file's name, for one that cannot be read or used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password of our own OpenSSL would ask for one on the terminal, and wait.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        told = f"Could not load X509 key pair (cert: {str(cert)!r}, key: {str(key)!r}): {_why(error)}"
        raise Invalid(told, reason="bad-certificate", hint="the key must be the certificate's and have no passphrase") from error
    context.set_alpn_protocols(["http/1.1"])
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise Invalid(f"could not read CA certificate {str(client_ca)!r}: {_why(error)}", reason="bad-certificate") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _why(error: OSError | ValueError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)
    return (reason or str(error)).replace("_", " ").lower()


class TlsLayer(asyncio.Protocol):
    """The lower face: bytes from the wire in, records out. Builds the protocol above once the handshake is done."""

    def __init__(self, context: ssl.SSLContext, build: Callable[[], asyncio.Protocol]) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self._build = build
        self._upper: TlsTransport | None = None
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._first += data[: _LONGEST - len(self._first)]
        self.incoming.write(data)
        try:
            if self._upper is None and not self._handshake():
                return
            self._read()
        except ssl.SSLError as error:
            self._refuse(error)

    def _refuse(self, error: ssl.SSLError) -> None:
        if self._upper is not None:
            self.flush()
            self.wire.abort()
            return
        if self._first.startswith(_METHODS):
            self.outgoing.read()
            self.wire.write(_PLAIN_ANSWER)
        self.flush()  # the alert that tells the client why
        logger.info("TLS handshake with %s failed: %s", self.wire.get_extra_info("peername"), _why(error))
        self.wire.close()

    def eof_received(self) -> bool:
        if self._upper is None:
            return False
        self._end(self._upper)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        if self._upper is not None:
            self._upper.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._upper is not None:
            self._upper.protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._upper is not None:
            self._upper.protocol.resume_writing()

    def _end(self, upper: "TlsTransport") -> None:
        """The peer will send no more."""
        if not upper.ended:
            upper.ended = True
            upper.protocol.eof_received()

    def flush(self) -> None:
        if records := self.outgoing.read():
            self.wire.write(records)

    def _handshake(self) -> bool:
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            if not self.wire.is_closing():
                self.flush()
            return False
        self.flush()
        self._deadline.cancel()
        self._upper = TlsTransport(self, self._build())
        self._upper.protocol.connection_made(self._upper)
        return True

    def _read(self) -> None:
        assert self._upper is not None
        try:
            while data := self.session.read(READ_SIZE):
                self._upper.protocol.data_received(data)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            pass
        self._end(self._upper)


class TlsTransport(asyncio.Transport):
    """The upper face: what an `asyncio.Transport` offers, encrypted."""

    def __init__(self, layer: TlsLayer, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._layer = layer
        self.protocol = protocol
        self.ended = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`ssl_object` is the session (client certificate, cipher); the rest is the socket's."""
        return self._layer.session if name == "ssl_object" else self._layer.wire.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self.is_closing():
            self._layer.session.write(data)
            self._layer.flush()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Sends close_notify and shuts the socket's sending side; reading goes on."""
        if not self.is_closing():
            self._send_close_notify()
            self._layer.wire.write_eof()

    def pause_reading(self) -> None:
        self._layer.wire.pause_reading()

    def resume_reading(self) -> None:
        self._layer.wire.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._layer.wire.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._layer.wire.get_write_buffer_size()

    def is_closing(self) -> bool:
        return self._layer.wire.is_closing()

    def close(self) -> None:
        """With close_notify: without it Go's clients report an unexpected end."""
        if not self.is_closing():
            self._send_close_notify()
        self._layer.wire.close()

    def abort(self) -> None:
        self._layer.wire.abort()

    def _send_close_notify(self) -> None:
        try:
            self._layer.session.unwrap()
        except ssl.SSLError:  # "want read": the peer has not closed its side yet, which is its right
            pass
        self._layer.flush()
