"""`/containers/{id}/archive`, `/changes`, `/export`: a container's files as tar streams."""

import json
import stat
from base64 import b64encode
from typing import Final

from corten.api.request import Request
from corten.api.types.containers import ChangeAnswer
from corten.api.wire import json_response
from corten.engine.containers.files.paths import PathStat
from corten.engine.timestamps import format_moment
from corten.http.response import Reply, Response, Stream

_STAT: Final = "X-Docker-Container-Path-Stat"
_TAR: Final = "application/x-tar"
_KINDS: Final = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS: Final = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


async def archive_stat(request: Request) -> Reply:
    found = await request.app.files.stat(request.params["id"], request.text("path"))
    return Response(200, headers=((_STAT, _encoded(found)),))


async def archive_get(request: Request) -> Reply:
    found, chunks = await request.app.files.copy_out(request.params["id"], request.text("path"))
    return Stream(chunks, _TAR, headers=((_STAT, _encoded(found)),))


async def archive_put(request: Request) -> Reply:
    await request.app.files.copy_in(
        request.params["id"],
        request.text("path"),
        request.stream(),
        keeps_kinds=request.flag("noOverwriteDirNonDir"),
        owned=request.flag("copyUIDGID"),
    )
    return Response(200)


async def changes(request: Request) -> Reply:
    found = await request.app.files.changes(request.params["id"])
    return json_response([ChangeAnswer(path=change.path, kind=int(change.kind)) for change in found])


async def export(request: Request) -> Reply:
    return Stream(await request.app.files.export(request.params["id"]), "application/octet-stream")


def go_mode(mode: int) -> int:
    """st_mode as Go's os.FileMode, which the header carries."""
    special = sum(go for bit, go in _BITS if mode & bit)
    return mode & 0o777 | _KINDS.get(stat.S_IFMT(mode), 0) | special


def _encoded(found: PathStat) -> str:
    value = {
        "name": found.name,
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": format_moment(found.mtime) if found.mtime else "1970-01-01T00:00:00Z",
        "linkTarget": found.target,
    }
    return b64encode(json.dumps(value).encode()).decode()
