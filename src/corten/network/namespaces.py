"""Network namespaces: the one thread that may enter them, and a pool of ready ones.

The daemon never changes its namespace. A dedicated thread does: unshare(2) and setns(2) with CLONE_NEWNET change the calling thread
only, and every visit ends with the thread back in the namespace it began in. A namespace costs 0.4 ms this way; a helper
process costs a fork of the daemon or a start of Python (20 ms).

A namespace is held by a file descriptor, never by a mount: when the daemon is killed, what no container uses vanishes with its
veth pair, and a container's namespace lives as long as its processes. `path` is a way to it for other processes:
/proc/<daemon>/fd/<n> while this daemon lives.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from corten.kernel.namespaces import CLONE_NEWNET, setns, unshare
from corten.kernel.netlink import links
from corten.kernel.netlink.socket import Netlink

_LOOPBACK_INDEX = 1
INSIDE_INDEX = 2
"""The index of the first link in a fresh namespace, chosen by us so that nothing need be looked up."""

P = ParamSpec("P")
R = TypeVar("R")


class NetworkThread:
    """Runs calls one after another in the thread that owns the netlink sockets and enters namespaces."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="corten-network")

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The call's value or exception. A cancelled caller does not stop a call that has begun."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))

    def submit(self, call: Callable[[], R], done: Callable[[Future[R]], None]) -> None:
        """The same for callers who do not wait: `done` is called in the network thread."""
        self._executor.submit(call).add_done_callback(done)

    def close(self) -> None:
        self._executor.shutdown(wait=True)


def open_own_namespace(of: int | str = "thread-self") -> int:
    """An fd on the network namespace of the calling thread, or of a process."""
    return os.open(f"/proc/{of}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(netns_fd: int) -> Iterator[None]:
    """The calling thread is in that namespace inside the block. Never in the main thread."""
    assert threading.current_thread() is not threading.main_thread(), "the main thread never leaves its namespace"
    home = open_own_namespace()
    try:
        setns(netns_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


def write_sysctl(name: str, value: str, *, optional: bool = False) -> None:
    """Write /proc/sys/<name> of the thread's network namespace, where it differs. `optional`: a kernel without it is fine."""
    path = f"/proc/sys/{name}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        if optional:
            return
        raise
    try:
        if os.read(fd, 128).decode().strip() != value:
            os.pwrite(fd, value.encode(), 0)  # behind the first byte a write would be ignored
    finally:
        os.close(fd)


def read_sysctl(name: str, default: str = "") -> str:
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return default


@dataclass(slots=True)
class Namespace:
    """A namespace that we hold. `link` is the name (in the daemon's namespace) of the other end of its first link, "" if it has
    only lo."""

    fd: int
    link: str = ""

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        """Idempotent. Without a process in it, the namespace and its links go now, in the kernel's own time."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def create_namespace() -> Namespace:
    """A fresh namespace with lo up. New links in it have no IPv6 until an endpoint wants it, and believe no router advertisement: on
    a bridge of ours only another container can send one."""
    home = open_own_namespace()
    with ExitStack() as undo:
        undo.callback(os.close, home)
        unshare(CLONE_NEWNET)
        undo.callback(setns, home, CLONE_NEWNET)
        with Netlink() as inside:
            inside.run([links.set_up(_LOOPBACK_INDEX)])
        write_sysctl("net/ipv6/conf/default/disable_ipv6", "1", optional=True)
        write_sysctl("net/ipv6/conf/default/accept_dad", "0", optional=True)
        write_sysctl("net/ipv6/conf/default/accept_ra", "0", optional=True)
        return Namespace(open_own_namespace())


class NamespacePool:
    """Ready namespaces with an `eth0` whose other end waits here, down and on no bridge. All methods are for the network thread.

    Making one takes about 1.5 ms, which a start need not wait for; `fill` is called when nobody waits.
    """

    def __init__(self, size: int, *, new_name: Callable[[], str]) -> None:
        self._size = size
        self._new_name = new_name
        self._ready: list[Namespace] = []
        self._host: Netlink | None = None

    def open(self) -> None:
        self._host = Netlink()

    def close(self) -> None:
        """The waiting namespaces go with their links."""
        while self._ready:
            self._ready.pop().close()
        if self._host is not None:
            self._host.close()
            self._host = None

    def take(self) -> Namespace:
        """A namespace that is the caller's to close."""
        return self._ready.pop() if self._ready else self._make()

    def fill(self) -> bool:
        """Make one, unless there are enough. True: call again."""
        if self._host is None or len(self._ready) >= self._size:
            return False
        self._ready.append(self._make())
        return len(self._ready) < self._size

    def _make(self) -> Namespace:
        assert self._host is not None, "NamespacePool.open first"
        namespace = create_namespace()
        name = self._new_name()
        try:
            inside = links.Inside(name="eth0", netns_fd=namespace.fd, index=INSIDE_INDEX)
            self._host.run([links.new_veth(name, inside)])
        except OSError:
            namespace.close()
            raise
        namespace.link = name
        return namespace
