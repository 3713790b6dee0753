"""A daemon with neighbours: containers that say who they are and who called, hosts outside, and calls made from any namespace."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

from corten.kernel.namespaces import CLONE_NEWNET, setns
from corten.kernel.netlink import addresses, links, routes
from corten.kernel.netlink.socket import Netlink
from tests.support.daemon import IMAGE, Daemon
from tests.support.forked import forked

INSIDE, OUTSIDE = "198.51.100.1", "198.51.100.2"
INSIDE6, OUTSIDE6 = "2001:db8::1", "2001:db8::2"
CGI = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n%s %s" "$(hostname)" "$REMOTE_ADDR"\n'


@dataclass(frozen=True)
class Caller:
    """A network namespace to call from, by a process in it."""

    pid: int

    def http(self, host: str, port: int, *, timeout: float = 3.0) -> str:
        """The body of /cgi-bin/who: "<hostname> <caller's address>". "" when nothing answers."""
        return forked(lambda: _http(self.pid, host, port, timeout))

    def udp(self, host: str, port: int, text: str = "ping", *, timeout: float = 2.0) -> str:
        """The answer to one datagram, "" for none."""
        return forked(lambda: _udp(self.pid, host, port, text, timeout))

    def run(self, body: Any) -> Any:
        """The value of `body()`, called in the namespace by a forked child."""

        def entered() -> Any:
            _enter(self.pid)
            return body()

        return forked(entered)


def _enter(pid: int) -> None:
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    setns(fd, CLONE_NEWNET)


def _http(pid: int, host: str, port: int, timeout: float) -> str:
    _enter(pid)
    with suppress(OSError), socket.create_connection((host, port), timeout) as sock:
        sock.sendall(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")
        data = b""
        while part := sock.recv(4096):
            data += part
        name, _, address = data.replace(b"\r", b"").partition(b"\n\n")[2].decode().strip().partition(" ")
        return f"{name} {address.strip('[]').removeprefix('::ffff:')}"
    return ""


def _udp(pid: int, host: str, port: int, text: str, timeout: float) -> str:
    _enter(pid)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        with suppress(OSError):
            sock.sendto(text.encode(), (host, port))
            return sock.recv(4096).decode().strip()
    return ""


@contextmanager
def answering(caller: Caller, port: int, text: str, *, host: str = "0.0.0.0") -> Iterator[None]:
    """A process in the caller's namespace that answers every datagram with `text`."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            _enter(caller.pid)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((host, port))
                os.write(told, b"1")
                while True:
                    _, peer = sock.recvfrom(4096)
                    sock.sendto(text.encode(), peer)
        os._exit(0)
    os.close(told)
    try:
        assert os.read(ready, 1) == b"1", "the answering process did not start"
        yield
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class World:
    """A daemon and what its network tests do with it."""

    def __init__(self, daemon: Daemon, shared: Path) -> None:
        self.daemon = daemon
        self.www = shared / "www"
        script = self.www / "cgi-bin" / "who"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(CGI)
        script.chmod(0o755)

    @property
    def host(self) -> Caller:
        return Caller(self.daemon.namespace_pid)

    def network(self, name: str, **body: Any) -> str:
        identifier: str = self.daemon.call("POST", "/networks/create", {"Name": name, **body}).ok()["Id"]
        return identifier

    def create(self, name: str, *command: str, network: str = "bridge", **host: Any) -> str:
        endpoint = host.pop("Endpoint", {})
        body = {
            "Image": IMAGE,
            "Cmd": list(command) or ["sleep", "600"],
            "Hostname": name,
            "HostConfig": {"NetworkMode": network, **host},
            "NetworkingConfig": {"EndpointsConfig": {network: endpoint}} if endpoint else {},
        }
        identifier: str = self.daemon.call("POST", f"/containers/create?name={name}", body).ok()["Id"]
        return identifier

    def run(self, name: str, *command: str, network: str = "bridge", **host: Any) -> Caller:
        """Started; its namespace is the one to call from."""
        self.create(name, *command, network=network, **host)
        self.daemon.call("POST", f"/containers/{name}/start").ok()
        return self.caller(name)

    def serve(self, name: str, *, network: str = "bridge", port: int = 80, **host: Any) -> Caller:
        """An HTTP server whose /cgi-bin/who tells its name and the caller's address."""
        caller = self.run(name, "httpd", "-f", "-p", str(port), "-h", "/www", network=network, Binds=[f"{self.www}:/www:ro"], **host)
        assert self.listens(caller, port)
        return caller

    def listens(self, caller: Caller, port: int) -> bool:
        def wait() -> bool:
            for _ in range(200):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    return True
                subprocess.run(["sleep", "0.02"], check=False)
            return False

        return bool(caller.run(wait))

    def exec(self, name: str, *command: str) -> str:
        """What the command prints inside the container, seen by its processes' files and namespaces."""
        pid = self.caller(name).pid
        done = subprocess.run(["nsenter", f"--target={pid}", "--all", *command], capture_output=True, text=True, check=True)
        return done.stdout

    def inspect(self, name: str) -> Any:
        return self.daemon.call("GET", f"/containers/{name}/json").ok()

    def caller(self, name: str) -> Caller:
        return Caller(self.inspect(name)["State"]["Pid"])

    def address(self, name: str, network: str = "bridge", field: str = "IPAddress") -> str:
        found: str = self.inspect(name)["NetworkSettings"]["Networks"][network][field]
        return found

    def port(self, name: str, container_port: str = "80/tcp", *, at: int = 0) -> int:
        return int(self.inspect(name)["NetworkSettings"]["Ports"][container_port][at]["HostPort"])

    def remove(self, *names: str) -> None:
        for name in names:
            self.daemon.call("DELETE", f"/containers/{name}?force=1").ok()

    def remove_networks(self, *names: str) -> None:
        for name in names:
            self.daemon.call("DELETE", f"/networks/{name}").ok()


def lookup(name: str, kind: str = "A") -> list[str]:
    """To be called in a container's namespace: what 127.0.0.11 answers, or the response code in words."""
    from dnslib import RCODE, DNSRecord

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.connect(("127.0.0.11", 53))
        sock.send(DNSRecord.question(name, kind).pack())
        reply = DNSRecord.parse(sock.recv(4096))
    return [str(rr.rdata) for rr in reply.rr] or [str(RCODE.get(reply.header.rcode))]


@contextmanager
def outside_host(daemon: Daemon) -> Iterator[Caller]:
    """A neighbour on an uplink of the daemon's namespace; it routes the containers' networks through the daemon's host."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")
    try:
        while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
            time.sleep(0.005)
        forked(lambda: _wire(daemon.namespace_pid, holder.pid))
        yield Caller(holder.pid)
    finally:
        holder.kill()
        holder.wait()


def _wire(host_pid: int, outside_pid: int) -> None:
    outside = os.open(f"/proc/{outside_pid}/ns/net", os.O_RDONLY)
    _enter(host_pid)
    with Netlink() as here:
        here.run([links.new_veth("uplink", links.Inside(name="eth0", netns_fd=outside)), links.set_up("uplink")])
        index = links.get_link(here, "uplink").index
        here.run([addresses.add_address(index, ip_interface(f"{INSIDE}/24")), addresses.add_address(index, ip_interface(f"{INSIDE6}/64"))])
    setns(outside, CLONE_NEWNET)
    with Netlink() as there:
        index = links.get_link(there, "eth0").index
        there.run(
            [
                links.set_up(1),
                links.set_up(index),
                addresses.add_address(index, ip_interface(f"{OUTSIDE}/24")),
                addresses.add_address(index, ip_interface(f"{OUTSIDE6}/64")),
                routes.default_route(ip_address(INSIDE), index),
                routes.default_route(ip_address(INSIDE6), index),
            ]
        )
