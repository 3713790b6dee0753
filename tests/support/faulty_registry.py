"""A registry on loopback that speaks the distribution API from memory and misbehaves on demand.

Each knob is a field of `Faults`; requests are recorded in `Registry.seen` as (method, path, headers).
"""

import base64
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PIECE = 1 << 16


@dataclass
class Faults:
    ignore_range: bool = False
    truncate_after: int | None = None  # bytes of each blob answer, then the connection closes
    reset_after: int | None = None  # bytes of each blob answer, then the connection is reset
    before_reset: Callable[[], None] = lambda: None  # a reset takes away what the peer has not read yet
    hold_uploads_at: int | None = None  # bytes of uploads in all; then every chunk waits for `Registry.go_on`
    reset_uploads: int = 0  # so many chunks are taken by half, then their connection is reset
    stall_after: int | None = None  # bytes of each blob answer, then nothing more until the registry ends
    hold_at: int | None = None  # bytes of blobs in all; then every blob answer waits for `Registry.go_on`
    corrupt: bool = False  # flips a byte in every blob
    lie_about_manifest: bool = False
    status_first: list[int] = field(default_factory=list)  # answered, one each, before anything works
    retry_after: str | None = None
    redirect_blobs_to: str | None = None
    redirect_manifests_to: str | None = None
    token_realm: str | None = None
    password: str | None = None  # "user:secret"
    always_401: bool = False
    largest_body: int | None = None
    endless_manifest: bool = False
    hidden_from_head: bool = False  # HEAD of a blob answers 404


@dataclass
class Registry:
    url: str
    faults: Faults
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    found: list[dict[str, object]] = field(default_factory=list)  # what the old search API answers
    sent: int = 0  # bytes of blobs that went out
    received: int = 0  # bytes of uploads that came in
    uploading: set[int] = field(default_factory=set)  # threads that are taking a chunk
    held: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    at_end: list[Callable[[], None]] = field(default_factory=list)  # what clients opened, to be closed with the registry

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def add_blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def add_manifest(self, name: str, data: bytes, media_type: str = "application/vnd.oci.image.manifest.v1+json") -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[name] = self.manifests[digest] = (media_type, data)
        return digest

    def paths(self, method: str) -> list[str]:
        return [path for m, path, _ in self.seen if m == method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def log_message(self, format: str, *args: object) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self) -> None:
        """Ends the connection so that the peer gets ECONNRESET."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def error(self, status: int, code: str) -> None:
        self.reply(status, json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode())

    def refused(self) -> bool:
        faults = self.registry.faults
        if faults.status_first:
            self.read_body()
            self.reply(faults.status_first.pop(0), b"", {"Retry-After": faults.retry_after} if faults.retry_after else {})
            return True
        authorization = self.headers.get("Authorization", "")
        if faults.token_realm or faults.always_401:
            if faults.always_401 or authorization != "Bearer good":
                realm = faults.token_realm or f"{self.registry.url}/token"
                self.read_body()
                self.reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="test",scope="repository:x:pull"'})
                return True
        elif faults.password and authorization != "Basic " + base64.b64encode(faults.password.encode()).decode():
            self.read_body()
            self.reply(401, b"", {"WWW-Authenticate": 'Basic realm="test"'})
            return True
        return False

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def read_chunk(self, expected: int) -> bytes:
        """A body, or what comes of it before the client is gone."""
        registry, found = self.registry, bytearray()
        while len(found) < expected:
            if registry.faults.hold_uploads_at is not None and registry.received >= registry.faults.hold_uploads_at:
                registry.held.set()
                registry.go_on.wait()
            try:
                piece = self.rfile.read(min(PIECE, expected - len(found)))
            except ConnectionError:
                break
            if not piece:
                break
            registry.received += len(piece)
            found += piece
        return bytes(found)

    def handle_any(self) -> None:
        self.registry.seen.append((self.command, self.path, dict(self.headers)))
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.read_body()
            self.reply(200, json.dumps({"token": "good", "refresh_token": "refresh", "expires_in": 300}).encode())
        elif parts.path == "/seen":  # for tests that have it in another process
            self.reply(200, json.dumps([f"{method} {path}" for method, path, _ in self.registry.seen[:-1]]).encode())
        elif parts.path == "/v1/search":
            self.reply(200, json.dumps({"results": self.registry.found}).encode())
        elif not self.refused():
            self.dispatch(parts.path, parse_qs(parts.query))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def dispatch(self, path: str, query: dict[str, list[str]]) -> None:
        if "/blobs/uploads/" in path:
            self.registry.uploading.add(threading.get_ident())
            try:
                self.upload(path.rpartition("/")[2], query)
            finally:
                self.registry.uploading.discard(threading.get_ident())
        elif "/blobs/" in path:
            self.blob(path.rpartition("/")[2])
        elif "/manifests/" in path:
            self.manifest(path.rpartition("/")[2])
        elif path.endswith("/tags/list"):
            self.reply(200, json.dumps({"tags": sorted(k for k in self.registry.manifests if ":" not in k)}).encode())
        else:
            self.reply(200, b"{}")

    def manifest(self, name: str) -> None:
        if self.command == "PUT":
            body = self.read_body()
            digest = self.registry.add_manifest(name, body, self.headers["Content-Type"])
            self.reply(201, b"", {"Docker-Content-Digest": digest})
            return
        if self.registry.faults.redirect_manifests_to:
            self.reply(307, b"", {"Location": f"{self.registry.faults.redirect_manifests_to}{self.path}"})
            return
        if self.registry.faults.endless_manifest:
            self.reply(200, b"[" + b" " * (8 << 20))
            return
        if name not in self.registry.manifests:
            self.error(404, "MANIFEST_UNKNOWN")
            return
        media_type, raw = self.registry.manifests[name]
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if self.registry.faults.lie_about_manifest:
            raw = raw.replace(b"{", b"{ ", 1)
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        if self.command == "HEAD":
            headers["Content-Length"] = str(len(raw))
        self.reply(200, raw, headers)

    def blob(self, digest: str) -> None:
        faults = self.registry.faults
        if digest not in self.registry.blobs or (faults.hidden_from_head and self.command == "HEAD"):
            self.error(404, "BLOB_UNKNOWN")
            return
        if faults.redirect_blobs_to and self.command == "GET":
            self.reply(307, b"", {"Location": f"{faults.redirect_blobs_to}{self.path}"})
            return
        data = self.registry.blobs[digest]
        if faults.corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        status, headers = 200, {}
        wanted = self.headers.get("Range")
        if wanted and not faults.ignore_range:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
            data, status = data[start : end + 1], 206
        headers["Content-Length"] = str(len(data))
        if faults.truncate_after is not None and len(data) > faults.truncate_after:
            data = data[: faults.truncate_after]
            self.close_connection = True
        if self.command == "HEAD":
            self.reply(status, b"", headers)
            return
        self.reply(status, b"", headers)
        self.send_blob(data)

    def send_blob(self, data: bytes) -> None:
        registry, faults = self.registry, self.registry.faults
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            if faults.hold_at is not None and registry.sent >= faults.hold_at:
                registry.held.set()
                registry.go_on.wait()
            if faults.stall_after is not None and start >= faults.stall_after:
                registry.go_on.wait()
                self.close_connection = True
                return
            if faults.reset_after is not None and start >= faults.reset_after:
                faults.before_reset()
                self.reset()
                return
            self.wfile.write(piece)
            registry.sent += len(piece)

    def upload(self, key: str, query: dict[str, list[str]]) -> None:
        registry = self.registry
        if registry.faults.reset_uploads and self.command == "PATCH":
            registry.faults.reset_uploads -= 1
            registry.uploads[key] += self.rfile.read(int(self.headers["Content-Length"]) // 2)
            self.reset()
            return
        expected = int(self.headers.get("Content-Length") or 0)
        body = self.read_chunk(expected)
        if len(body) < expected:
            registry.uploads[key] += body
            self.close_connection = True  # the client is gone; what came is kept
            return
        if registry.faults.largest_body is not None and len(body) > registry.faults.largest_body:
            self.error(413, "SIZE_INVALID")
            return
        if self.command == "POST":
            if query.get("mount", [""])[0] in registry.blobs:
                self.reply(201)
                return
            key = f"u{len(registry.uploads)}"
            registry.uploads[key] = bytearray()
        upload = registry.uploads[key]
        upload += body
        headers = {"Location": f"/v2/x/blobs/uploads/{key}", "Range": f"0-{len(upload) - 1}"}
        if self.command == "PUT":
            digest = registry.add_blob(bytes(upload))
            if digest != query["digest"][0]:
                self.error(400, "DIGEST_INVALID")
                return
            self.reply(201, b"", headers)
        else:
            self.reply(202 if self.command in ("POST", "PATCH") else 204, b"", headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle, as killed ones do, is no news."""


@contextmanager
def running_registry(faults: Faults | None = None) -> Iterator[Registry]:
    """A registry on a free loopback port, ended on leaving."""
    server = _Server(("127.0.0.1", 0), _Handler)
    registry = Registry(f"http://127.0.0.1:{server.server_address[1]}", faults or Faults())
    server.RequestHandlerClass = type("Handler", (_Handler,), {"registry": registry})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.go_on.set()
        for close in registry.at_end:
            close()
        server.shutdown()
        server.server_close()
        thread.join()
