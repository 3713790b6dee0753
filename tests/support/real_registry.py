"""Debian's docker-registry, over TLS or not, under names of its own in an engine's namespaces; and a forward proxy that wants a password.

`tools/setup.sh` puts the program into `.venv/debian`.
"""

import base64
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.inside import network_of

UNPACKED = Path(__file__).parents[2] / ".venv" / "debian" / "usr" / "bin" / "docker-registry"
ADDRESS = "10.99.0.1"
"""Not loopback, which engines trust without being told."""


def registry_program() -> str:
    found = shutil.which("docker-registry") or str(UNPACKED)
    assert Path(found).exists(), "docker-registry is missing: sh tools/setup.sh"
    return found


class Authority:
    """A certificate authority of a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        self._openssl("req", "-x509", *_new_key(self._key), "-subj", "/CN=test authority", "-days", "2", "-out", str(self.certificate))

    def sign(self, name: str, *more: str) -> tuple[Path, Path]:
        """A certificate for that host (or client) name and more of them, and its key."""
        names = ",".join(f"DNS:{one}" for one in (name, *more))
        certificate, key, request = (self._folder / f"{name}.{end}" for end in ("cert", "key", "csr"))
        self._openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-out", str(request))
        sign = ("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial", "-copy_extensions", "copy", "-days", "2")
        self._openssl("x509", "-req", "-in", str(request), *sign, "-out", str(certificate))
        return certificate, key

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _new_key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))


@contextmanager
def overlaid_etc(pid: int, folder: Path, files: Mapping[str, str]) -> Iterator[None]:
    """In the mount namespace of `pid` these files are in /etc, and ADDRESS is in its network. The namespace's end takes both away."""
    folder.mkdir()
    enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net"]
    subprocess.run([*enter, "ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
    subprocess.run([*enter, "mount", "-t", "tmpfs", "etc", str(folder)], check=True)
    lines = [f"mkdir -p {folder}/upper {folder}/work"]
    for name, source in files.items():
        lines += [f"mkdir -p $(dirname {folder}/upper/{name})", f"cp {source} {folder}/upper/{name}"]
    lines += [f"mount -t overlay etc -o lowerdir=/etc,upperdir={folder}/upper,workdir={folder}/work /etc"]
    subprocess.run([*enter, "sh", "-ec", "\n".join(lines)], check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, "sh", "-c", f"umount /etc; umount {folder}"], check=False)


class RealRegistry:
    """One docker-registry. `log` is its access log."""

    def __init__(self, folder: Path, port: int, storage: Path, address: str = ADDRESS) -> None:
        self.port = port
        self.address = address
        self.log = folder / f"registry-{port}.log"
        self._config = folder / f"registry-{port}.yml"
        self._storage = storage

    @contextmanager
    def running(self, pid: int, tls: Mapping[str, Any] | None = None) -> Iterator["RealRegistry"]:
        """`tls`: the registry's own keys: certificate, key, clientcas."""
        http = [f"  {key}: {value}" for key, value in (tls or {}).items()]
        lines = ["version: 0.1", "log: {level: info}", "storage:", f"  filesystem: {{rootdirectory: {self._storage}}}"]
        lines += [
            "http:",
            f"  addr: {self.address}:{self.port}",
            "  secret: shared",
            *([" tls:", *[f" {line}" for line in http]] if http else []),
        ]
        self._config.write_text("\n".join(lines).replace("\n tls:", "\n  tls:"))
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net", registry_program(), "serve", str(self._config)]
        with self.log.open("wb") as log, subprocess.Popen(enter, stdout=log, stderr=log) as process:
            try:
                self._await(pid, process)
                yield self
            finally:
                process.kill()

    def asked(self) -> list[str]:
        """`METHOD PATH STATUS` of what was asked so far."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            request, quote, rest = line.partition('"')[2].partition('"')
            if quote and " HTTP/" in request and line[:1].isdigit():
                found.append(f"{request.rpartition(' ')[0]} {rest.split()[0]}")
        return found

    def _await(self, pid: int, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, self.log.read_text()
            with network_of(pid), socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


class Proxy:
    """A forward proxy for CONNECT and absolute URLs, for whoever knows the password."""

    def __init__(self, pid: int, password: str) -> None:
        self.pid = pid
        self.authorization = "Basic " + base64.b64encode(password.encode()).decode()
        self.asked: list[str] = []
        self.refused = 0

    @contextmanager
    def running(self, port: int) -> Iterator["Proxy"]:
        with network_of(self.pid):
            server = _ProxyServer((ADDRESS, port), _Tunnel)
        server.proxy = self
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _ProxyServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    proxy: Proxy


class _Tunnel(socketserver.StreamRequestHandler):
    server: _ProxyServer

    def handle(self) -> None:
        proxy, request = self.server.proxy, self.rfile.readline().decode().split()
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("proxy-authorization") != proxy.authorization:
            proxy.refused += 1
            self.wfile.write(b'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
            return
        proxy.asked.append(" ".join(request[:2]))
        _host, _, port = request[1].removeprefix("http://").partition("/")[0].partition(":")
        with network_of(proxy.pid):
            there = socket.create_connection((ADDRESS, int(port or 443)))
        with there:
            if request[0] == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = "/" + request[1].removeprefix("http://").partition("/")[2]
                kept = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if not k.startswith("proxy-") and k != "connection")
                there.sendall(f"{request[0]} {path} HTTP/1.1\r\n{kept}Connection: close\r\n\r\n".encode())
            self._pump(there)

    def _pump(self, there: socket.socket) -> None:
        back = threading.Thread(target=_copy, args=(there, self.connection), daemon=True)
        back.start()
        _copy(self.connection, there)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
