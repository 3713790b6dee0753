"""An image archive of the engine as `--output type=docker|oci,dest=` writes it: under the names of the build, which the engine's store
need not have."""

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

from corten.cli.archive.unpacking import PieceReader
from corten.cli.errors import Failure

END = b"\0" * 1024
Name = tuple[str, str, str]
"""As `references.named` gives it: repository with its registry, tag, how people write it."""
FULL_NAME, REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"
PIECE = 1 << 20


def named_archive(pieces: Iterator[bytes], names: Sequence[Name], *, docker: bool, described: dict[str, Any]) -> Iterator[bytes]:
    """The archive of one image with `names` in its documents. Without `docker` an OCI layout and nothing else.

    `described` gets the image's descriptor.
    """
    with tarfile.open(fileobj=PieceReader(pieces), mode="r|") as archive:  # type: ignore[call-overload]
        for info in archive:
            if info.name == "repositories" or (info.name == "manifest.json" and not docker):
                continue
            source = archive.extractfile(info) if info.isreg() else io.BytesIO()
            if info.name in ("index.json", "manifest.json"):
                document = json.loads(source.read()) if source else {}
                described |= document["manifests"][0] if info.name == "index.json" else {}
                renamed = _with_names(info.name, document, names)
                source = io.BytesIO(json.dumps(renamed, separators=(",", ":")).encode())
                info.size = len(source.getvalue())
            yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            while source is not None and (piece := source.read(PIECE)):
                yield piece
            yield b"\0" * (-info.size % 512)
    yield END


def _with_names(document: str, value: Any, names: Sequence[Name]) -> Any:
    if document == "manifest.json":
        return [{**value[0], "RepoTags": [short if tag else f"{short}:latest" for _, tag, short in names] or None}]
    entry = {key: field for key, field in value["manifests"][0].items() if key != "annotations"}
    notes = [{FULL_NAME: f"{repository}:{tag or 'latest'}", REF_NAME: tag or "latest"} for repository, tag, _ in names]
    return {**value, "manifests": [{**entry, "annotations": note} for note in notes] or [entry]}


def write_pieces(path: str, pieces: Iterator[bytes]) -> None:
    """To a file, which appears whole or not at all, or to stdout for "-". Raises Failure."""
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
    finally:
        if os.path.exists(part):
            os.unlink(part)
