"""`--output`: where the result of a build goes besides the engine's images: archives, folders, registries."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from corten.cli.archive.unpacking import PieceReader, Unpacker
from corten.cli.building.parts import fields_of
from corten.cli.errors import Failure
from corten.cli.output.progress import show_progress
from corten.cli.references import named
from corten.cli.session import Session
from corten.client.credentials import registry_header
from corten.client.urls import quoted

KINDS = ("docker", "oci", "tar", "local", "image", "registry")
KEYS = (
    "type",
    "dest",
    "name",
    "push",
    "store",
    "unpack",
    "compression",
    "oci-mediatypes",
    "rewrite-timestamp",
    "tar",
    "dangling-name-prefix",
)


class Output(NamedTuple):
    """`destination` "" is the engine itself, "-" stdout."""

    kind: str
    destination: str
    names: tuple[str, ...] = ()
    push: bool = False


def read_outputs(texts: Sequence[str], *, push: bool) -> list[Output]:
    """`type=KIND,dest=PATH,…`, a folder's path, or "-". Raises Failure."""
    found = [_output(text) for text in texts]
    return [*found, Output("registry", "", (), True)] if push else found


def _output(text: str) -> Output:
    if text == "-":
        return Output("tar", "-")
    if "=" not in text:
        return Output("local", text)
    fields = fields_of(text, KEYS, "output")
    kind, destination = fields.get("type", ""), fields.get("dest", "")
    if kind not in KINDS:
        raise Failure(f"failed to parse {kind or text} as an output: type is one of {', '.join(KINDS)}")
    if kind in ("tar", "local", "oci") and not destination:
        if kind == "local" or sys.stdout.isatty():
            raise Failure(f"dest is required for {kind} output")
        destination = "-"
    names = tuple(filter(None, fields.get("name", "").split(",")))
    push = kind == "registry" or fields.get("push", "false").lower() in ("true", "1")
    return Output(kind, destination, names, push)


def deliver(session: Session, output: Output, image: str, tags: Sequence[str]) -> None:
    """Raises Failure and what the API raises."""
    names = output.names or tuple(tags)
    for name in output.names:
        repository, tag, _ = named(name)
        session.api.post(f"/images/{quoted(image)}/tag", {"repo": repository, "tag": tag or "latest"})
    if output.push:
        _push(session, names)
    if not output.destination:
        return
    if output.kind in ("docker", "oci"):
        query = {"names": list(names) or [image]}
        _write(output.destination, session.api.call("GET", "/images/get", query).pieces())
    else:
        _files(session, output, image)


def _push(session: Session, names: Sequence[str]) -> None:
    if not names:
        raise Failure("tag is needed when pushing to registry")
    for name in names:
        repository, tag, _ = named(name)
        headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
        answer = session.api.call("POST", f"/images/{quoted(repository)}/push", {"tag": tag or "latest"}, headers=headers)
        show_progress(answer.json_lines(), io.StringIO())


def _files(session: Session, output: Output, image: str) -> None:
    """The image's files, through a container that is never started."""
    made: Any = session.api.post("/containers/create", body={"Image": image, "Cmd": ["-"], "Entrypoint": ["-"]})
    try:
        if output.kind == "tar":
            _write(output.destination, session.api.call("GET", f"/containers/{made['Id']}/export").pieces())
        else:
            os.makedirs(output.destination, exist_ok=True)
            answer = session.api.call("GET", f"/containers/{made['Id']}/archive", {"path": "/."})
            Unpacker(output.destination, "", owners=os.geteuid() == 0).unpack(PieceReader(answer.pieces()))
    finally:
        session.api.delete(f"/containers/{made['Id']}", {"force": "1"})


def _write(path: str, pieces: Iterator[bytes]) -> None:
    if path == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    part = f"{path}.part"
    try:
        with open(part, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.rename(part, path)
    except OSError as error:
        raise Failure(f"failed to write {path}: {error.strerror}") from None
