"""How layers are packed that leave the engine: gzip, zstd or not at all."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from isal import isal_zlib

from corten.oci.manifest import DOCKER_LAYER, OCI_LAYER
from corten.store.streams import zstd

Compression = Literal["gzip", "zstd", "uncompressed"]
LEVEL: Final = 2
_GZIP: Final = 31
_TYPES: Final = {"gzip": f"{OCI_LAYER}+gzip", "zstd": f"{OCI_LAYER}+zstd", "uncompressed": OCI_LAYER}
HIGHEST: Final = {"gzip": 9, "zstd": 22, "uncompressed": 22}


@dataclass(frozen=True, slots=True)
class LayerCompression:
    """`level` None is our choice. `force`: what is there already in another form does not do."""

    kind: Compression = "gzip"
    level: int | None = None
    force: bool = False

    @property
    def media_type(self) -> str:
        return _TYPES[self.kind]

    def does(self, media_type: str) -> bool:
        """Whether a blob that is there already will do."""
        return not self.force or self.media_type == oci_type(media_type)

    def packed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        packer = self._packer()
        for piece in pieces:
            yield packer.compress(piece) if packer else piece
        if packer:
            yield packer.flush()

    def _packer(self) -> Any:
        if self.kind == "zstd":
            return zstd.ZstdCompressor(self.level or None)
        if self.kind == "uncompressed":
            return None
        if self.level is None:
            return isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _GZIP)
        return zlib.compressobj(self.level, zlib.DEFLATED, _GZIP)


def oci_type(media_type: str) -> str:
    """The OCI spelling of a layer's media type."""
    return _TYPES["gzip"] if media_type == DOCKER_LAYER else media_type
