"""FileSync: folders of the client's machine, brought here over its session."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from corten.api.buildkit.messages.session import Packet
from corten.api.buildkit.session.receiver import Receiver
from corten.api.buildkit.session.sessions import ClientSession
from corten.errors import EngineError, Invalid, Unavailable
from corten.http.grpc.calls import calling
from corten.http.grpc.connection import Call
from corten.http.grpc.protobuf import BadMessage, decode, encode
from corten.http.grpc.status import CallFailed, Fields

DIFF_COPY: Final = "/moby.filesync.v1.FileSync/DiffCopy"
_GATHERED: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesyncRequest:
    """`name` is the client's name of a folder. `paths`: only these and what they lead to; none for all. `excludes` as a `.dockerignore`."""

    name: str
    paths: Sequence[str] = ()
    excludes: Sequence[str] = ()


async def sync(session: ClientSession, request: FilesyncRequest, root: int) -> int:
    """Brings the folder that the descriptor `root` is of to what the client has: the bytes that came. Raises Invalid, Unavailable."""
    if not session.serves(DIFF_COPY):
        raise Invalid("the client's session does not serve files", reason="no-filesync")
    receiver = Receiver(root)
    try:
        async with calling(session.connection, DIFF_COPY, _metadata(request)) as call:
            await _receive(call, receiver)
    except CallFailed as error:
        raise call_error(error, f"reading {request.name} from the client") from error
    finally:
        receiver.close()
    return receiver.received


async def _receive(call: Call, receiver: Receiver) -> None:
    while messages := await call.receive_some(_GATHERED):
        for answer in await _taken(receiver, messages):
            await call.send(encode(answer))
        if receiver.is_complete and not call.has_ended_sending:
            call.end()
    if not receiver.is_complete:
        raise Unavailable("the client closed the file transfer before it was complete", reason="session-lost")


async def _taken(receiver: Receiver, messages: Sequence[bytes]) -> list[Packet]:
    """In a thread, which is awaited whatever happens: it writes into a folder that is cleared afterwards."""
    work = asyncio.ensure_future(asyncio.to_thread(_decoded, receiver, messages))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _decoded(receiver: Receiver, messages: Sequence[bytes]) -> list[Packet]:
    try:
        return receiver.take([decode(Packet, data) for data in messages])
    except BadMessage as error:
        raise Invalid(f"decoding a packet of the client: {error}", reason="context-sender") from error


def _metadata(request: FilesyncRequest) -> Fields:
    found: Fields = [("dir-name", request.name)]
    for key, values in (("followpaths", request.paths), ("exclude-patterns", request.excludes)):
        found += header_values(key, values)
    return found


def header_values(key: str, values: Sequence[str]) -> Fields:
    """As BuildKit's session does: what is not printable ASCII is escaped, and a second header says so."""
    if all(value.isascii() and value.isprintable() for value in values):
        return [(key, value) for value in values]
    return [(f"{key}-encoded", "1"), *((key, quote(value, safe="")) for value in values)]


def call_error(error: CallFailed, doing: str) -> EngineError:
    return Unavailable(f"{doing}: {error.message}", reason="session-call")
