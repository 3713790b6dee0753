"""How a client tells of a folder that lies on this machine: a descriptor of its own, which the engine opens after it.

    client ── POST /build, X-Corten-Folders: {"boot": …, "context": {"fd": 7, "device": …, "inode": …}, "named": {…}} ──▶ engine
                                                                     /proc/PID/fd/7 ◀── opens, compares device and inode

PID is what the kernel says of the socket's other end, so that only a process that has the folder open can name it, and only on a unix
socket; another mount namespace does not matter. A relay in between, another machine or another PID namespace make it fail, and the
client sends the files instead.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from corten.build.files.client_user import ClientUser
from corten.errors import Unavailable
from corten.store.files import boot_id


@dataclass(frozen=True, slots=True)
class Claim:
    """A descriptor of the client's, and what it says that it is of."""

    fd: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Claims:
    """`pid`, `uid`: of the process that opened the connection, as the kernel knows it. `boot` is the client's machine."""

    pid: int
    uid: int
    boot: str
    context: Claim | None = None
    named: Mapping[str, Claim] = field(default_factory=dict)

    def check(self) -> None:
        """Blocks. Raises Unavailable when one of the folders cannot be read where it lies: the client is to send the files."""
        for claim in (self.context, *self.named.values()):
            if claim is not None:
                os.close(self.opened(claim))

    def opened(self, claim: Claim) -> int:
        """A descriptor of the folder, which is the caller's. Blocks. Raises Unavailable."""
        if self.pid <= 0 or self.boot != boot_id():
            raise _elsewhere("the client is on another machine or in another PID namespace")
        if claim.fd < 0:
            raise _elsewhere("no descriptor is negative")
        try:
            fd = os.open(f"/proc/{self.pid}/fd/{claim.fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, OverflowError) as error:
            raise _elsewhere(f"descriptor {claim.fd} of process {self.pid}: {error}") from error
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != (claim.device, claim.inode):
            os.close(fd)
            raise _elsewhere(f"descriptor {claim.fd} of process {self.pid} is of something else")
        return fd

    def reader(self) -> ClientUser | None:
        """The client's user as far as that is not root. Blocks. Raises Unavailable."""
        if self.uid == 0:
            return None
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
        except OSError as error:
            raise _elsewhere(f"process {self.pid} is gone") from error
        return ClientUser(self.uid, frozenset(map(int, (*fields["Gid"].split(), *fields["Groups"].split()))))


def _elsewhere(why: str) -> Unavailable:
    return Unavailable(f"the build context cannot be read where it lies: {why}", reason="context-elsewhere", hint="send it")
