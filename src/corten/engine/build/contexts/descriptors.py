"""How a client passes a directory of this machine: by one of its own descriptors, which the engine opens through /proc.

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
class DirectoryDescriptor:
    """A client's descriptor, with device and inode of the directory that it says it is."""

    fd: int
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class LocalDirectories:
    """`pid`, `uid`: of the process that opened the connection, as the kernel knows it. `boot` is the client's machine."""

    pid: int
    uid: int
    boot: str
    context: DirectoryDescriptor | None = None
    named: Mapping[str, DirectoryDescriptor] = field(default_factory=dict)

    def check(self) -> None:
        """Blocks. Raises Unavailable when one of the directories cannot be read in place: the client has to send the files."""
        for descriptor in (self.context, *self.named.values()):
            if descriptor is not None:
                os.close(self.opened(descriptor))

    def opened(self, descriptor: DirectoryDescriptor) -> int:
        """A descriptor of the folder, which is the caller's. Blocks. Raises Unavailable."""
        if self.pid <= 0 or self.boot != boot_id():
            raise _elsewhere("the client is on another machine or in another PID namespace")
        if descriptor.fd < 0:
            raise _elsewhere("a descriptor is negative")
        try:
            fd = os.open(f"/proc/{self.pid}/fd/{descriptor.fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, OverflowError) as error:
            raise _elsewhere(f"descriptor {descriptor.fd} of process {self.pid}: {error}") from error
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != (descriptor.device, descriptor.inode):
            os.close(fd)
            raise _elsewhere(f"descriptor {descriptor.fd} of process {self.pid} is another file")
        return fd

    def user(self) -> ClientUser | None:
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
    return Unavailable(f"the build context cannot be read in place: {why}", reason="context-elsewhere", hint="send the files")
