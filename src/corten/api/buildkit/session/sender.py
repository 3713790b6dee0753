"""FileSend: results of a build to the client, as one stream (a tar) or as a folder (fsutil's sender)."""

import asyncio
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Iterator
from typing import Final

from corten.api.buildkit.messages.session import DATA, FAILED, FINISHED, REQUEST, STAT, BytesMessage, Packet, Stat
from corten.api.buildkit.session.filesync import call_error
from corten.api.buildkit.session.modes import KIND, go_mode
from corten.api.buildkit.session.sessions import ClientSession
from corten.build.files.tree import Tree
from corten.errors import Invalid, Unavailable
from corten.http.grpc.calls import calling, receive_message
from corten.http.grpc.connection import Call
from corten.http.grpc.protobuf import encode
from corten.http.grpc.status import CallFailed

SEND: Final = "/moby.filesync.v1.FileSend/DiffCopy"
EXPORTER: Final = "buildkit-attachable-exporter-id"
_PIECE: Final = 32 << 10
"""fsutil's own."""


async def send_stream(session: ClientSession, exporter: int, pieces: AsyncIterator[bytes]) -> int:
    """Raises Invalid, Unavailable; gives the bytes sent."""
    size = 0
    try:
        async with calling(session.connection, SEND, [(EXPORTER, str(exporter))]) as call:
            async for piece in pieces:
                for at in range(0, len(piece), _PIECE):
                    await call.send(encode(BytesMessage(piece[at : at + _PIECE])))
                size += len(piece)
            call.end()
            while await call.receive() is not None:
                pass
    except CallFailed as error:
        raise call_error(error, "sending the result to the client") from error
    return size


async def send_tree(session: ClientSession, exporter: int, tree: Tree) -> int:
    """All files of `tree`; devices are the client's to refuse. The bytes sent. Raises Invalid, Unavailable."""
    try:
        async with calling(session.connection, SEND, [(EXPORTER, str(exporter))]) as call:
            return await _send(call, tree)
    except CallFailed as error:
        raise call_error(error, "sending the result to the client") from error


async def _send(call: Call, tree: Tree) -> int:
    entries = await asyncio.to_thread(lambda: list(_entries(tree)))
    listing = asyncio.ensure_future(_list(call, entries))
    size = 0
    try:
        while (packet := await receive_message(call, Packet)) is not None:
            if packet.type == REQUEST:
                await listing  # a file's pieces come after the list, whoever is quicker
                size += await _send_file(call, tree, entries, packet.id)
            elif packet.type == FINISHED:
                await call.send(encode(Packet(FINISHED)))
                call.end()
            elif packet.type == FAILED:
                raise Unavailable(f"error from receiver: {packet.data.decode(errors='replace')[:1000]}", reason="session-call")
    finally:
        listing.cancel()
        await asyncio.wait([listing])
    return size


async def _list(call: Call, entries: list[Stat]) -> None:
    for entry in entries:
        await call.send(encode(Packet(STAT, entry)))
    await call.send(encode(Packet(STAT)))


async def _send_file(call: Call, tree: Tree, entries: list[Stat], number: int) -> int:
    if not 0 <= number < len(entries) or entries[number].mode & KIND:
        raise Invalid(f"the client asks for entry {number} of the result, which is not a file", reason="session-call")
    file = await asyncio.to_thread(tree.open, entries[number].path, os.O_RDONLY | os.O_NOFOLLOW)
    size = 0
    try:
        while data := await asyncio.to_thread(os.read, file, 16 * _PIECE):
            for at in range(0, len(data), _PIECE):
                await call.send(encode(Packet(DATA, None, number, data[at : at + _PIECE])))
            size += len(data)
    finally:
        os.close(file)
    await call.send(encode(Packet(DATA, None, number)))
    return size


def _entries(tree: Tree) -> Iterator[Stat]:
    """In fsutil's order; the second name of a file is a link to the first."""
    seen: dict[int, str] = {}
    for path, found in tree.walk(""):
        if not path or path == "." or stat.S_ISSOCK(found.st_mode):
            continue
        entry = Stat(path, go_mode(found.st_mode), found.st_uid, found.st_gid, 0, found.st_mtime_ns)
        if stat.S_ISLNK(found.st_mode):
            entry.linkname = _readlink(tree, path)
        elif stat.S_ISREG(found.st_mode):
            entry.size = found.st_size
            if found.st_nlink > 1:
                entry.linkname = seen.get(found.st_ino, "")
                seen.setdefault(found.st_ino, path)
        elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            entry.devmajor, entry.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        yield entry


def _readlink(tree: Tree, path: str) -> str:
    folder, name = posixpath.split(path)
    parent = tree.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        return os.readlink(name, dir_fd=parent)
    finally:
        os.close(parent)
