"""What goes over a client's session: fsutil's packets, secrets, agents, credentials."""

from dataclasses import dataclass
from typing import Final

from corten.http.grpc import protobuf as pb

STAT: Final = 0
REQUEST: Final = 1
DATA: Final = 2
FINISHED: Final = 3
FAILED: Final = 4
"""What a packet is: the sender's list of entries (an empty STAT ends it), the receiver's request for a file by its place in
that list, pieces of the file (an empty one ends it), the end on both sides."""


@dataclass(slots=True)
class Stat:
    """`mode` in Go's bits, `mod_time` in ns since the epoch."""

    path: str = pb.text(1)
    mode: int = pb.integer(2)
    uid: int = pb.integer(3)
    gid: int = pb.integer(4)
    size: int = pb.integer(5)
    mod_time: int = pb.integer(6)
    linkname: str = pb.text(7)
    devmajor: int = pb.integer(8)
    devminor: int = pb.integer(9)
    xattrs: dict[str, bytes] = pb.blob_map(10)


@dataclass(slots=True)
class Packet:
    type: int = pb.integer(1)
    stat: Stat | None = pb.message(2, lambda: Stat)
    id: int = pb.integer(3)
    data: bytes = pb.blob(4)


@dataclass(slots=True)
class BytesMessage:
    data: bytes = pb.blob(1)


@dataclass(slots=True)
class SecretRequest:
    id: str = pb.text(1)


@dataclass(slots=True)
class AgentRequest:
    id: str = pb.text(1)


@dataclass(slots=True)
class CredentialsRequest:
    host: str = pb.text(1)


@dataclass(slots=True)
class CredentialsResponse:
    username: str = pb.text(1)
    secret: str = pb.text(2)
