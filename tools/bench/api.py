"""Requests to an engine, each thread and engine over one connection that is kept."""

import http.client
import json
import socket
from types import TracebackType
from typing import Self

VERSION = "/v1.41"
TIMEOUT = 600


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


class Api:
    """A context manager: the connection closes with it."""

    def __init__(self, host: str) -> None:
        self._connection = UnixConnection(host.removeprefix("unix://"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body. RuntimeError for every status from 400 on."""
        payload = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/x-tar" if isinstance(body, bytes) else "application/json"}
        self._connection.request(method, VERSION + path, payload, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def create(self, settings: dict[str, object], name: str = "") -> str:
        """A container's id."""
        made = json.loads(self.call("POST", "/containers/create" + (f"?name={name}" if name else ""), settings))
        return str(made["Id"])

    def create_exec(self, container: str, settings: dict[str, object]) -> str:
        return str(json.loads(self.call("POST", f"/containers/{container}/exec", settings))["Id"])
