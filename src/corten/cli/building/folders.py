"""Folders that a build is made from: an engine on this machine reads them where they lie, any other gets their files."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from corten.cli.building.parts import Parts, parcel
from corten.cli.errors import Failure
from corten.client.api import Api
from corten.client.errors import ApiError
from corten.http.client import Answer

FOLDERS = "X-Corten-Folders"
ELSEWHERE = "context-elsewhere"
"""The engine's reason for refusing folders that it cannot reach; then they are sent."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
Query = Mapping[str, str | list[str]]


class Definition(NamedTuple):
    """`name` of the Dockerfile in the context, or what people call it; `text`, `ignore`: of one that is not in the context, and what lies
    beside it as its own ignore file.
    """

    name: str
    text: bytes | None = None
    ignore: bytes | None = None


class Sending(NamedTuple):
    """`context` is a tar stream whose names begin with `context/`; else `folder` is it, with its Dockerfile; or there is none."""

    parts: Parts
    context: Iterator[bytes] | None = None
    folder: str = ""
    definition: Definition | None = None


def takes_folders(api: Api) -> bool:
    return api.greeting().get("corten-contexts") == "folders"


def read_definition(folder: str, dockerfile: str) -> Definition:
    """`dockerfile` is the flag's value. Raises Failure."""
    if not os.path.isdir(folder):
        raise Failure(f'unable to prepare context: path "{folder}" not found')
    if dockerfile == "-":
        return Definition("Dockerfile", sys.stdin.buffer.read())
    path = dockerfile or os.path.join(folder, "Dockerfile")
    if os.path.isdir(path):
        raise Failure(f"failed to read dockerfile: read {path}: is a directory")
    if not os.path.isfile(path):
        shown = f"lstat {os.path.abspath(path)}: no such file or directory"
        raise Failure(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {shown}")
    name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
    if name.split(os.sep)[0] != os.pardir:
        return Definition(name)
    beside = f"{path}.dockerignore"
    return Definition(os.path.basename(path), _content(path), _content(beside) if os.path.isfile(beside) else None)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@contextmanager
def sent(api: Api, query: Query, sending: Sending, headers: Mapping[str, str]) -> Iterator[Answer]:
    """The engine's answer, to be read inside the block. Raises ApiError."""
    can_resend = sending.context is None  # a stream is there once only
    if can_resend and (sending.folder or sending.parts.folders) and api.endpoint.host.startswith("unix://") and takes_folders(api):
        with _opened(sending) as said:
            bare = parcel(sending.parts._replace(folders={}), None, _beside(sending.definition))
            try:
                answer = api.call("POST", "/build", query, stream=bare, headers={**headers, FOLDERS: said})
            except ApiError as error:
                if error.reason != ELSEWHERE:
                    raise
            else:
                yield answer
                return
    yield api.call("POST", "/build", query, stream=parcel(sending.parts, _packed(sending), _beside(sending.definition)), headers=headers)


@contextmanager
def _opened(sending: Sending) -> Iterator[str]:
    """What tells the engine of the folders; they are open until the block is left."""
    said: dict[str, Any] = {"boot": _content(BOOT_ID).decode().strip(), "named": {}}
    opened = list[int]()
    try:
        if sending.folder:
            said["context"] = _claim(sending.folder, opened)
        for name, folder in sending.parts.folders.items():
            said["named"][name] = _claim(folder, opened)
        yield json.dumps(said)
    finally:
        for fd in opened:
            os.close(fd)


def _claim(folder: str, opened: list[int]) -> dict[str, int]:
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise Failure(f"unable to prepare context: {folder}: {error.strerror}") from None
    found = os.fstat(opened[-1])
    return {"fd": opened[-1], "device": found.st_dev, "inode": found.st_ino}


def _packed(sending: Sending) -> Iterator[bytes] | None:
    if not sending.folder or sending.definition is None:
        return sending.context
    from corten.cli.archive.packing import pack
    from corten.cli.image.context import keeper

    definition = sending.definition
    name = definition.name if definition.text is None else ""
    return pack(sending.folder, "context", keep=keeper(sending.folder, name, definition.ignore), follow=True)


def _beside(definition: Definition | None) -> dict[str, bytes]:
    if definition is None or definition.text is None:
        return {}
    return {"dockerfile": definition.text, **({"dockerignore": definition.ignore} if definition.ignore is not None else {})}
