"""Local contexts: an engine on this machine reads the directories in place, any other is sent their files."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from corten.cli.build.multipart import RequestParts, multipart_body
from corten.cli.errors import Failure
from corten.client.api import Api
from corten.client.errors import ApiError
from corten.http.client import Answer

FOLDERS = "X-Corten-Folders"
NOT_LOCAL = "context-elsewhere"
"""The engine's reason for refusing directories that it cannot open; then they are sent."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
Query = Mapping[str, str | list[str]]


class DockerfileSource(NamedTuple):
    """`name` of the Dockerfile in the context, or what people call it; `text`, `ignore`: of one that is not in the context, and what lies
    beside it as its own ignore file.
    """

    name: str
    text: bytes | None = None
    ignore: bytes | None = None


class ContextUpload(NamedTuple):
    """`context` is a tar stream whose names begin with `context/`; else `folder` is it, with its Dockerfile; or there is none."""

    parts: RequestParts
    context: Iterator[bytes] | None = None
    folder: str = ""
    definition: DockerfileSource | None = None


def reads_local_contexts(api: Api) -> bool:
    return api.greeting().get("corten-contexts") == "folders"


def read_definition(folder: str, dockerfile: str) -> DockerfileSource:
    """`dockerfile` is the flag's value. Raises Failure."""
    if not os.path.isdir(folder):
        raise Failure(f'unable to prepare context: path "{folder}" not found')
    if dockerfile == "-":
        return DockerfileSource("Dockerfile", sys.stdin.buffer.read())
    path = dockerfile or os.path.join(folder, "Dockerfile")
    if os.path.isdir(path):
        raise Failure(f"failed to read dockerfile: read {path}: is a directory")
    if not os.path.isfile(path):
        shown = f"lstat {os.path.abspath(path)}: no such file or directory"
        raise Failure(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {shown}")
    name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    if name.split(os.sep)[0] != os.pardir:
        return DockerfileSource(name)
    beside = f"{path}.dockerignore"
    return DockerfileSource(os.path.basename(path), _content(path), _content(beside) if os.path.isfile(beside) else None)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@contextmanager
def post_build(api: Api, query: Query, upload: ContextUpload, headers: Mapping[str, str]) -> Iterator[Answer]:
    """The engine's answer, to be read inside the block. Raises ApiError."""
    can_resend = upload.context is None  # a stream is there once only
    if can_resend and (upload.folder or upload.parts.folders) and api.endpoint.host.startswith("unix://") and reads_local_contexts(api):
        with _opened(upload) as said:
            bare = multipart_body(upload.parts._replace(folders={}), None, _beside(upload.definition))
            try:
                answer = api.call("POST", "/build", query, stream=bare, headers={**headers, FOLDERS: said})
            except ApiError as error:
                if error.reason != NOT_LOCAL:
                    raise
            else:
                yield answer
                return
    yield api.call(
        "POST", "/build", query, stream=multipart_body(upload.parts, _packed(upload), _beside(upload.definition)), headers=headers
    )


@contextmanager
def _opened(upload: ContextUpload) -> Iterator[str]:
    """The header that passes the directories to the engine; they are open until the block is left."""
    said: dict[str, Any] = {"boot": _content(BOOT_ID).decode().strip(), "named": {}}
    opened = list[int]()
    try:
        if upload.folder:
            said["context"] = _descriptor(upload.folder, opened)
        for name, folder in upload.parts.folders.items():
            said["named"][name] = _descriptor(folder, opened)
        yield json.dumps(said)
    finally:
        for fd in opened:
            os.close(fd)


def _descriptor(folder: str, opened: list[int]) -> dict[str, int]:
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise Failure(f"unable to prepare context: {folder}: {error.strerror}") from None
    found = os.fstat(opened[-1])
    return {"fd": opened[-1], "device": found.st_dev, "inode": found.st_ino}


def _packed(upload: ContextUpload) -> Iterator[bytes] | None:
    if not upload.folder or upload.definition is None:
        return upload.context
    from corten.cli.archive.packing import pack
    from corten.cli.build.context import keeper

    definition = upload.definition
    name = definition.name if definition.text is None else ""
    return pack(upload.folder, "context", keep=keeper(upload.folder, name, definition.ignore), follow=True)


def _beside(definition: DockerfileSource | None) -> dict[str, bytes]:
    if definition is None or definition.text is None:
        return {}
    return {"dockerfile": definition.text, **({"dockerignore": definition.ignore} if definition.ignore is not None else {})}
