"""TLS on loopback: client certificates, half-close, take-over. Keys and certificates of the folder `tls` are for these tests only."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from corten.errors import Invalid, Unavailable
from corten.http.address import Address, TlsFiles
from corten.http.client import Client, Upgraded
from corten.http.connection import Handler
from corten.http.listen import open_listeners
from corten.http.request import Request
from corten.http.response import TAKEN, Reply, Response
from corten.http.server import Server
from corten.http.tls import server_context

FOLDER = Path(__file__).parent / "tls"
TRUSTED = TlsFiles(ca=str(FOLDER / "ca.pem"), cert=str(FOLDER / "client.pem"))


@asynccontextmanager
async def serving(handler: Handler, client_ca: Path = FOLDER / "ca.pem") -> AsyncIterator[int]:
    """Yields the port."""
    context = server_context(FOLDER / "server.pem", FOLDER / "server.pem", client_ca=client_ca)
    async with Server(handler) as server:
        (listener,) = open_listeners(Address("tcp", host="127.0.0.1", port=0), tls=context)
        await server.listen(listener)
        yield listener.sock.getsockname()[1]


@contextmanager
def client_of(port: int, files: TlsFiles = TRUSTED) -> Iterator[Client]:
    with Client(Address("tcp", host="127.0.0.1", port=port), tls=files, timeout=5) as client:
        yield client


async def echo(request: Request) -> Reply:
    return Response(200, await request.body(100_000_000))


def call(port: int, body: bytes, files: TlsFiles = TRUSTED) -> bytes:
    with client_of(port, files) as client:
        client.request("POST", "/", body=b"first").read()
        return client.request("POST", "/", body=body).read()


async def test_a_client_with_a_certificate_is_served() -> None:
    body = bytes(range(256)) * 4000
    async with serving(echo) as port:
        assert await asyncio.to_thread(call, port, body) == body


@pytest.mark.parametrize(
    "files",
    [TRUSTED._replace(cert=""), TRUSTED._replace(cert=str(FOLDER / "stranger.pem")), TRUSTED._replace(ca=str(FOLDER / "stranger.pem"))],
    ids=["no certificate", "certificate of another authority", "server of another authority"],
)
async def test_strangers_are_refused(files: TlsFiles) -> None:
    async with serving(echo) as port:
        with pytest.raises((Unavailable, ConnectionError)):
            await asyncio.to_thread(call, port, b"", files)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_plain_http_on_a_tls_port_is_told_so(method: str) -> None:
    """In the words of Docker's (Go's) server, which a client shows to its user."""
    async with serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        async with asyncio.timeout(5):
            assert await reader.read() == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_tls_gets_no_http() -> None:
    async with serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"SSH-2.0-x\r\n" * 5)
        async with asyncio.timeout(5):
            assert b"HTTP" not in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_handshakes_that_stall_hold_nobody_up() -> None:
    async with serving(echo) as port:
        stalled = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in stalled[::2]:
            writer.write(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(call, port, b"served") == b"served"
        for _, writer in stalled:
            writer.close()


def openssl(*words: str, folder: Path) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def signed(folder: Path, name: str, *when: str) -> str:
    """A client certificate with its key, of the authority in `folder`."""
    openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.csr",
        "-subj",
        f"/CN={name}",
        folder=folder,
    )
    openssl("ca", "-batch", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.crt", "-notext", *when, folder=folder)
    whole = folder / f"{name}.pem"
    whole.write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())
    return str(whole)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority, for certificates whose dates are past or to come."""
    folder = tmp_path_factory.mktemp("authority")
    subject = ("-subj", "/CN=dates", "-days", "2")
    openssl(
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        *subject,
        folder=folder,
    )
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    lines = (
        "[ca]",
        "default_ca=d",
        "[d]",
        "database=index.txt",
        "serial=serial",
        "new_certs_dir=.",
        "certificate=ca.pem",
        "private_key=ca.key",
    )
    (folder / "ca.cnf").write_text("\n".join((*lines, "default_md=sha256", "policy=p", "default_days=1", "[p]", "commonName=supplied", "")))
    return folder


@pytest.mark.parametrize(
    ("when", "accepted"),
    [
        ((), True),
        (("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"), False),
        (("-startdate", "21000101000000Z", "-enddate", "21010101000000Z"), False),
    ],
    ids=["of today", "expired", "of the future"],
)
async def test_a_certificate_s_dates_are_looked_at(authority: Path, when: tuple[str, ...], accepted: bool) -> None:
    files = TRUSTED._replace(cert=signed(authority, f"client{len(list(authority.iterdir()))}", *when))
    async with serving(echo, client_ca=authority / "ca.pem") as port:
        if accepted:
            assert await asyncio.to_thread(call, port, b"x", files) == b"x"
            return
        with pytest.raises((Unavailable, ConnectionError)):
            await asyncio.to_thread(call, port, b"x", files)


@pytest.mark.parametrize(
    ("cert", "key", "ca", "text"),
    [
        ("absent.pem", "server.pem", "ca.pem", "Could not load X509 key pair .*absent.pem.*no such file"),
        ("ca.pem", "server.pem", "ca.pem", "Could not load X509 key pair .*key values mismatch"),
        ("server.pem", "server.pem", "absent.pem", "could not read CA certificate .*absent.pem.*no such file"),
        ("server.pem", "server.pem", ".", "could not read CA certificate"),
        ("server.pem", "server.pem", "../test_tls.py", "could not read CA certificate .*test_tls.py"),
    ],
)
def test_files_that_will_not_do_are_named(cert: str, key: str, ca: str, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        server_context(FOLDER / cert, FOLDER / key, client_ca=FOLDER / ca)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    openssl("pkey", "-in", str(FOLDER / "server.pem"), "-aes128", "-passout", "pass:secret", "-out", "locked.key", folder=tmp_path)
    with pytest.raises(Invalid, match=r"locked\.key"):
        server_context(FOLDER / "server.pem", tmp_path / "locked.key", client_ca=None)


async def test_a_taken_over_stream_is_pumped_and_half_closes() -> None:
    """As `echo text | docker run -i`: the client ends its input, and output that comes afterwards arrives, to the last byte."""

    async def handler(request: Request) -> Reply:
        with await request.hijack("HTTP/1.1 101 UPGRADED", [("Connection", "Upgrade"), ("Upgrade", "tcp")]) as taken:
            taken.sock.setblocking(True)
            await asyncio.to_thread(shout_back, taken.sock)
        return TAKEN

    def shout_back(sock: "object") -> None:
        import socket

        assert isinstance(sock, socket.socket)
        received = b""
        while data := sock.recv(65536):
            received += data
        sock.sendall(received.upper() * 1000)

    def attach(port: int) -> bytes:
        with client_of(port) as client:
            raw = client.upgrade("POST", "/attach")
            assert isinstance(raw, Upgraded)
            with raw:
                raw.send(b"abc" * 100)
                raw.half_close()
                output = b""
                while data := raw.recv():
                    output += data
                return output

    async with serving(handler) as port:
        for _ in range(5):
            assert await asyncio.to_thread(attach, port) == b"ABC" * 100 * 1000
