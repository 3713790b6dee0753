"""Exporters of `--output`: a registry, an archive, a directory; and `--metadata-file`, which says what they made."""

import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.archive.unpacking import PieceReader, Unpacker
from corten.cli.build.image_archive import named_archive, write_pieces
from corten.cli.build.outputs import ExportedImage, Output
from corten.cli.output.progress import show_progress
from corten.cli.references import named
from corten.cli.session import Session
from corten.client.credentials import registry_header
from corten.client.urls import quoted

INDEX = "application/vnd.oci.image.index.v1+json"


def export_image(session: Session, output: Output, image: str, tags: Sequence[str]) -> list[ExportedImage]:
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
        return [ExportedImage(image=image, descriptor=described)]
    if output.kind in ("tar", "local"):
        _files(session, output, image)
    return []


def _push(session: Session, names: Sequence[str], image: str) -> list[ExportedImage]:
    found = []
    for name in names:
        repository, tag, _ = named(name)
        headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
        answer = session.api.call("POST", f"/images/{quoted(repository)}/push", {"tag": tag or "latest"}, headers=headers)
        aux = list[Any]()
        show_progress(answer.json_lines(), io.StringIO(), aux=aux)
        found += [ExportedImage(f"{repository}:{one['Tag']}", one["Digest"], image) for one in aux if "Digest" in one]
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


def metadata(session: Session, image: str, names: Sequence[str], delivered: Sequence[ExportedImage]) -> dict[str, Any]:
    """What `--metadata-file` says of the result, under buildx's names. `image` "": nothing of it stayed in the engine.

    What is at a registry or in an archive goes by the digest that it has there. There is no build history to refer to.
    """
    found: dict[str, Any] = {"containerimage.config.digest": image, "containerimage.digest": image} if image else {}
    if delivered:
        last = delivered[-1]
        descriptor = last.descriptor or _at_registry(session, last)
        if last.image:
            found["containerimage.config.digest"] = last.image
        if descriptor.get("mediaType") == INDEX:
            found.pop("containerimage.config.digest", None)
        found |= {"containerimage.descriptor": descriptor, "containerimage.digest": descriptor["digest"]}
    if names:
        found["image.name"] = ",".join(_full_name(name) for name in names)
    return found


def _at_registry(session: Session, pushed: ExportedImage) -> dict[str, Any]:
    """The registry's word on the kind of what was pushed."""
    repository = pushed.name.rpartition(":")[0]
    headers = {"X-Registry-Auth": registry_header(session.config, repository.partition("/")[0])}
    name = quoted(f"{repository}@{pushed.digest}")
    found = session.api.call("GET", f"/distribution/{name}/json", headers=headers).json()["Descriptor"]
    return {key: found[key] for key in ("mediaType", "digest", "size") if key in found}


def write_metadata(path: str, provenance: Mapping[str, Any], found: dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**({"buildx.build.provenance": dict(provenance)} if provenance else {}), **found}, file, indent=2)


def _full_name(text: str) -> str:
    repository, tag, _ = named(text)
    return f"{repository}:{tag}" if tag else repository
