"""`--build-context NAME=oci-layout://FOLDER[:TAG|@DIGEST]`: an image of a layout on this machine goes to the engine, without a name."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from typing import Any

from corten.cli.errors import Failure
from corten.cli.output.progress import show_progress
from corten.cli.session import Session

REF_NAME = "org.opencontainers.image.ref.name"
END = b"\0" * 1024
PIECE = 1 << 20
LARGEST = 4 << 20


def sent_layout(session: Session, where: str) -> str:
    """The id that the engine gives the image. Raises Failure for a layout that has no such image."""
    folder, name = _split(where.removeprefix("oci-layout://"))
    chosen = _chosen(folder, name, where)
    said = io.StringIO()
    answer = session.api.call(
        "POST", "/images/load", {"quiet": "1"}, stream=_archive(folder, chosen), headers={"Content-Type": "application/x-tar"}
    )
    show_progress(answer.json_lines(), said)
    image = said.getvalue().strip().rpartition("Loaded image ID: ")[2].splitlines()
    if not image or not image[0].startswith("sha256:"):
        raise Failure(f"the engine took no image from {where}: {said.getvalue().strip()}")
    return image[0]


def _split(text: str) -> tuple[str, str]:
    """Folder, and tag or digest ("" for none)."""
    if "@" in text:
        folder, _, digest = text.rpartition("@")
        return folder, digest
    folder, colon, tag = text.rpartition(":")
    return (folder, tag) if colon and "/" not in tag else (text, "")


def _chosen(folder: str, name: str, where: str) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
            entries = json.loads(file.read(LARGEST))["manifests"]
        found = [e for e in entries if name in (e["digest"], (e.get("annotations") or {}).get(REF_NAME, ""))]
    except OSError as error:
        raise Failure(f'oci-layout reference "{where}" could not be resolved: {error.strerror}: {error.filename}') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failure(f'oci-layout reference "{where}" could not be resolved: {folder}/index.json is no index') from None
    if not name:
        found = [e for e in entries if (e.get("annotations") or {}).get(REF_NAME) == "latest"] or entries
    if not found:
        raise Failure(f'oci-layout reference "{where}" could not be resolved: no {name} in {folder}/index.json')
    return {key: value for key, value in found[0].items() if key != "annotations"}


def _archive(folder: str, chosen: dict[str, Any]) -> Iterator[bytes]:
    """A layout of that image alone, all its blobs with it; what no manifest of it names stays here."""
    index = json.dumps({"schemaVersion": 2, "manifests": [chosen]}).encode()
    for name, content in (("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", index)):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        yield info.tobuf() + content + b"\0" * (-len(content) % 512)
    for digest in dict.fromkeys(_reached(folder, chosen)):
        yield from _member(folder, digest)
    yield END


def _reached(folder: str, descriptor: dict[str, Any]) -> Iterator[str]:
    yield str(descriptor["digest"])
    kind = str(descriptor.get("mediaType", ""))
    if "manifest" not in kind and "index" not in kind:
        return
    try:
        with open(_path(folder, str(descriptor["digest"])), "rb") as file:
            document = json.loads(file.read(LARGEST))
    except OSError:
        return  # an index may list images that the layout has not
    except ValueError:
        raise Failure(f"{descriptor['digest']} in {folder} is no manifest") from None
    for inner in [*document.get("manifests", ()), *filter(None, [document.get("config")]), *document.get("layers", ())]:
        yield from _reached(folder, inner)


def _member(folder: str, digest: str) -> Iterator[bytes]:
    try:
        with open(_path(folder, digest), "rb") as file:
            info = tarfile.TarInfo(f"blobs/{digest.replace(':', '/', 1)}")
            info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf()
            left = info.size
            while left and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece
            yield b"\0" * (left + -info.size % 512)
    except FileNotFoundError:
        return


def _path(folder: str, digest: str) -> str:
    kind, _, value = digest.partition(":")
    if not (kind.isalnum() and value.isalnum()):
        raise Failure(f"bad digest {digest!r} in {folder}")
    return os.path.join(folder, "blobs", kind, value)
