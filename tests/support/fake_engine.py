"""An engine that only listens: it records what a client sends and answers from a script. For comparing two CLIs' requests."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

API_VERSION = "1.50"
"""What the stock CLI of Docker 28.2 speaks; both CLIs negotiate it with this engine."""


class Recorded(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    status: int = 200
    body: Any = None
    content_type: str = "application/json"


Script = Callable[[Recorded], Answer | None]
"""Answers a request, or None for the default: 201 with an id for creations, 204 otherwise."""


class FakeEngine:
    """What was asked, in order, without the `/vX.Y` prefix and without pings, which are counted."""

    def __init__(self, script: Script | None = None) -> None:
        self.requests: list[Recorded] = []
        self.script = script
        self.pings = 0

    def answer(self, request: Recorded) -> Answer:
        self.requests.append(request)
        scripted = self.script(request) if self.script else None
        if scripted is not None:
            return scripted
        if request.path.endswith("/create"):
            return Answer(201, {"Id": "c" * 64, "Warnings": []})
        return Answer(204)

    def only(self, path: str) -> Recorded:
        """The one request for `path`; fails when there were none or several."""
        (found,) = [r for r in self.requests if r.path == path]
        return found


def handler_for(engine: FakeEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _serve(self) -> None:
            url = urlsplit(self.path)
            path = url.path
            if path.startswith("/v1."):
                path = "/" + path.split("/", 2)[2]
            body = self._body()
            if path == "/_ping":
                engine.pings += 1
                answer = Answer(200, "OK", "text/plain")
            else:
                query = dict(parse_qsl(url.query, keep_blank_values=True))
                headers = {k.lower(): v for k, v in self.headers.items()}
                answer = engine.answer(Recorded(self.command, path, query, headers, body))
            self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            content = answer.body if isinstance(answer.body, bytes) else b"" if answer.status == 204 else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Api-Version", API_VERSION)
            self.send_header("Ostype", "linux")
            self.send_header("Server", "Docker/28.2.2 (linux)")
            if answer.status != 204:
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = _serve

    return Handler


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def listening(path: Path, script: Script | None = None) -> Iterator[FakeEngine]:
    """A fake engine on the unix socket `path` until the block ends."""
    engine = FakeEngine(script)
    with _Server(str(path), handler_for(engine)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
