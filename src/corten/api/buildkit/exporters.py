"""The exporters `image`, `local` and `tar`: an image with names, pushed or not; files or a tar sent back to the client."""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from corten.api.buildkit.messages.solve import Exporter
from corten.api.buildkit.session.sender import send_stream, send_tree
from corten.api.buildkit.session.sessions import ClientSession
from corten.api.services import Services
from corten.build.files.tree import Tree
from corten.engine.build.request import BuildResult
from corten.engine.build.vertices import InternalVertices
from corten.engine.images.removal import RemoveOptions
from corten.errors import Invalid, Unsupported
from corten.ids import ImageId
from corten.oci.reference import Reference, parse_reference
from corten.registry.auth import Credentials
from corten.store.files import disk_error
from corten.store.layers import Layers
from corten.store.streams.loops import with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker

_STORED: Final = frozenset({"moby", "image"})
_TO_CLIENT: Final = frozenset({"local", "tar"})
_SWITCHES: Final = (
    "push",
    "unpack",
    "store",
    "oci-mediatypes",
    "name-canonical",
    "force-compression",
    "rewrite-timestamp",
    "platform-split",
)
"""Taken as they are: this is how it is done here anyhow, or `push`."""
_USUAL: Final = {"compression": "gzip", "mode": "copy"}
"""Accepted with that value only."""


@dataclass(frozen=True, slots=True)
class ExportEntry:
    """`number` is its place among the client's, by which files are sent."""

    kind: str
    number: int
    tags: tuple[Reference, ...] = ()
    push: bool = False


def read_exporters(exporters: Sequence[Exporter]) -> list[ExportEntry]:
    """Raises Invalid, Unsupported: for what is not done, by name, before anything is built."""
    return [_output(number, exporter) for number, exporter in enumerate(exporters)]


def _output(number: int, exporter: Exporter) -> ExportEntry:
    if exporter.type not in _STORED | _TO_CLIENT:
        raise Unsupported(f"the exporter {exporter.type!r} is not supported", reason="output-kind", hint="image, local, tar")
    attrs = exporter.attrs
    for key, value in attrs.items():
        if key not in ("name", "source-date-epoch", *_SWITCHES) and _USUAL.get(key) != value:
            raise Unsupported(f"{key}={value} of --output type={exporter.type} is not supported", reason="output-option")
    names = [name for row in csv.reader([attrs.get("name", "")]) for name in row if name]
    return ExportEntry(exporter.type, number, tuple(_tag(name) for name in names), _is_on(attrs, "push"))


def _is_on(attrs: Mapping[str, str], name: str) -> bool:
    text = attrs.get(name, "false").lower()
    if text not in ("true", "1", "false", "0", ""):
        raise Invalid(f"non-bool value specified for {name}: {text}", reason="output-option")
    return text in ("true", "1", "") and name in attrs


def _tag(name: str) -> Reference:
    reference = parse_reference(name)
    if reference.digest:
        raise Invalid(f"invalid tag {name!r}: a digest cannot be given to a build", reason="bad-reference")
    return reference.with_default_tag()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultExporter:
    """Hands a finished image on. `session` is None for a client without one."""

    services: Services
    layers: Layers
    session: ClientSession | None
    credentials: Mapping[str, Credentials]
    vertices: InternalVertices

    async def deliver(self, built: BuildResult, outputs: Sequence[ExportEntry]) -> dict[str, str]:
        """The exporters' answer. An image that no output keeps goes again, unless somebody named it meanwhile."""
        for output in outputs:
            if output.kind in _TO_CLIENT:
                await self._send(built.image, output)
            for tag in output.tags if output.push else ():
                await self._push(tag)
        if any(output.kind in _STORED for output in outputs):
            names = ",".join(str(tag) for output in outputs for tag in output.tags)
            found = {"containerimage.config.digest": built.image, "containerimage.digest": built.image}
            return {**found, **({"image.name": names} if names else {})}
        image = self.services.images.catalog.get(built.image)
        if built.is_new and not image.tags:
            await self.services.images.removal.remove(built.image, RemoveOptions(for_good=True))
        return {}

    async def _push(self, tag: Reference) -> None:
        with self.vertices.step(f"pushing {tag.familiar}", internal=False):
            await self.services.pushes.push(tag, lambda message: None, credentials=self.credentials.get(tag.domain))

    async def _send(self, image: ImageId, output: ExportEntry) -> None:
        if self.session is None:
            raise Invalid("files can only be sent to a client with a session", reason="no-session")
        archive = await self.services.images.archives.tree(image)
        what = "exporting to client tarball" if output.kind == "tar" else "exporting to client directory"
        with self.vertices.step(what, internal=False) as step:
            if output.kind == "tar":
                self.vertices.progress(step, "sending tarball", await send_stream(self.session, output.number, archive))
                return
            with ExitStack() as stack:
                folder = os.path.join(stack.enter_context(self.layers.workplace()), "diff")
                await with_body(archive, _unpacker(folder))
                root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, root)
                self.vertices.progress(step, "copying files", await send_tree(self.session, output.number, Tree(root)))


def _unpacker(folder: str) -> Callable[[Iterator[Chunk]], None]:
    def unpack(chunks: Iterator[Chunk]) -> None:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        unpacker = Unpacker(root, overlay=False)
        try:
            reader = TarReader(chunks)
            while (entry := reader.next_entry()) is not None:
                unpacker.add(entry, reader)
            unpacker.finish()
        except OSError as error:
            raise disk_error(error, "exporting files") from error
        finally:
            unpacker.close()
            os.close(root)

    return unpack
