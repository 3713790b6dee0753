"""Listening sockets: unix with mode and group, tcp, and those that systemd hands over."""

import errno
import grp
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from corten.errors import Conflict, Invalid
from corten.http.address import Address

if TYPE_CHECKING:
    import ssl

SOCKET_MODE: Final = 0o660
BACKLOG: Final = 1024
FIRST_PASSED_FD: Final = 3
"""sd_listen_fds(3): SD_LISTEN_FDS_START."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound, listening, non-blocking socket. `inode` names the unix socket's file as it was made, so that only it is removed."""

    address: Address
    sock: socket.socket
    tls: "ssl.SSLContext | None" = None
    inode: tuple[int, int] | None = None

    def close(self) -> None:
        self.sock.close()
        if self.inode is not None and _inode(self.address.path) == self.inode:
            os.unlink(self.address.path)


def open_listeners(
    address: Address, *, groups: Sequence[str] = ("docker", "corten"), tls: "ssl.SSLContext | None" = None
) -> list[Listener]:
    """Binds and listens. The first of `groups` that exists owns a unix socket. tcp opens one socket per resolved address.

    Raises Conflict when another process answers there, Invalid when the address cannot be had.
    """
    try:
        if address.scheme == "unix":
            return [_listen_unix(address, groups)]
        if address.scheme == "fd":
            return _take_passed(address)
        return _listen_tcp(address, tls)
    except OSError as error:
        raise Invalid(f"failed to listen on {address}: {error.strerror}", reason="cannot-listen") from error


def _listen_unix(address: Address, groups: Sequence[str]) -> Listener:
    """A stale socket file is replaced, a live one refused. The file appears with its final mode and group: bound aside, renamed."""
    if _is_answered(address.path):
        raise Conflict(f"{address}: another engine is listening there", reason="address-in-use", hint="stop it, or choose another -H")
    os.makedirs(os.path.dirname(address.path) or ".", mode=0o711, exist_ok=True)
    aside = f"{address.path}.{os.getpid()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(aside)
        os.chmod(aside, SOCKET_MODE)
        if (gid := _find_group(groups)) is not None:
            os.chown(aside, -1, gid)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        os.rename(aside, address.path)
    except OSError:
        sock.close()
        _unlink(aside)
        raise
    return Listener(address, sock, inode=_inode(address.path))


def _listen_tcp(address: Address, tls: "ssl.SSLContext | None") -> list[Listener]:
    listeners: list[Listener] = []
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, where in dict.fromkeys(found):
        sock = socket.socket(family, kind, protocol)
        listeners.append(Listener(address, sock, tls))
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # inherited by what it accepts
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(where)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError:
            for listener in listeners:
                listener.close()
            raise
    return listeners


def _take_passed(address: Address) -> list[Listener]:
    """Sockets of a systemd socket unit, all of them or the one that `fd://N` numbers (sd_listen_fds(3))."""
    count = int(os.environ.get("LISTEN_FDS", "0")) if os.environ.get("LISTEN_PID") == str(os.getpid()) else 0
    if not count:
        raise Invalid("no sockets found via socket activation: make sure the service was started by systemd", reason="cannot-listen")
    numbers = range(FIRST_PASSED_FD, FIRST_PASSED_FD + count)
    if address.path.isdecimal():
        numbers = range(int(address.path), int(address.path) + 1)
    listeners = []
    for number in numbers:
        sock = socket.socket(fileno=number)
        sock.setblocking(False)
        sock.set_inheritable(False)
        listeners.append(Listener(address, sock))
    return listeners


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
                return False
            raise
    return True


def _find_group(names: Sequence[str]) -> int | None:
    for name in names:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return None


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
