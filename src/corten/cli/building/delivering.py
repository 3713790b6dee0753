"""Bringing the result of a build where `--output` wants it: to a registry, into an archive, into a folder."""

import io
import os
from collections.abc import Sequence
from typing import Any

from corten.cli.archive.unpacking import PieceReader, Unpacker
from corten.cli.building.layouts import named_archive, write_pieces
from corten.cli.building.outputs import Delivered, Output
from corten.cli.output.progress import show_progress
from corten.cli.references import named
from corten.cli.session import Session
from corten.client.credentials import registry_header
from corten.client.urls import quoted


def deliver(session: Session, output: Output, image: str, tags: Sequence[str]) -> list[Delivered]:
    """Raises Failure and what the API raises."""
    names = tuple(tags) or output.names
    if output.push:
        return _push(session, names, image)
    if output.kind in ("docker", "oci") and output.destination:
        pieces = session.api.call("GET", "/images/get", {"names": image}).pieces()
        described: dict[str, Any] = {}
        archive = named_archive(pieces, [named(name) for name in names], docker=output.kind == "docker", described=described)
        if output.unpacked:
            _unpack(output.destination, PieceReader(archive))
        else:
            write_pieces(output.destination, archive)
        return [Delivered(image=image, descriptor=described)]
    if output.kind in ("tar", "local"):
        _files(session, output, image)
    return []


def _push(session: Session, names: Sequence[str], image: str) -> list[Delivered]:
    found = []
    for name in names:
        repository, tag, _ = named(name)
        headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
        answer = session.api.call("POST", f"/images/{quoted(repository)}/push", {"tag": tag or "latest"}, headers=headers)
        aux = list[Any]()
        show_progress(answer.json_lines(), io.StringIO(), aux=aux)
        found += [Delivered(f"{repository}:{one['Tag']}", one["Digest"], image) for one in aux if "Digest" in one]
    return found


def _files(session: Session, output: Output, image: str) -> None:
    pieces = session.api.call("GET", "/corten/images/tree", {"name": image}).pieces()
    if output.kind == "tar":
        write_pieces(output.destination, pieces)
    else:
        folder = os.path.join(output.destination, _platform_folder(session, image)) if output.split else output.destination
        _unpack(folder, PieceReader(pieces))


def _platform_folder(session: Session, image: str) -> str:
    """As BuildKit names it: `linux_amd64`, `linux_arm_v7`."""
    found = session.api.get(f"/images/{quoted(image)}/json")
    return "_".join(filter(None, (found["Os"], found["Architecture"], found.get("Variant"))))


def _unpack(folder: str, archive: PieceReader) -> None:
    """As BuildKit's client does: the files are the caller's own, the folder is nobody else's."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    Unpacker(folder, "", owners=False, whole=True).unpack(archive)
