"""The multipart request of `build`: options, secrets and named contexts in front of the context, in one tar."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from corten.cli.archive.headers import file_header

MULTIPART_TYPE = "application/x-corten-build"
END = b"\0" * 1024


class RequestParts(NamedTuple):
    """`folders` are the named contexts on this machine; `options` goes as JSON."""

    options: dict[str, Any]
    secrets: dict[str, bytes]
    folders: dict[str, str]


def multipart_body(parts: RequestParts, context: Iterator[bytes] | None, others: Mapping[str, bytes] | None = None) -> Iterator[bytes]:
    """The whole body. `context` is a tar stream whose names begin with `context/`, with its end; `others` are members by name."""
    yield _member("options.json", json.dumps(parts.options).encode())
    for name, value in parts.secrets.items():
        yield _member(f"secret/{name}", value)
    for name, value in (others or {}).items():
        yield _member(name, value)
    if parts.folders:
        from corten.cli.archive.packing import pack
    for name, folder in parts.folders.items():
        yield from _without_end(pack(folder, f"named/{name}", keep=_ignore_rules(folder), follow=True))
    yield from context or [END]


def _member(name: str, content: bytes) -> bytes:
    return file_header(name, len(content), 0o600) + content + b"\0" * (-len(content) % 512)


def _without_end(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Without the last piece, which is the end of the archive."""
    last: bytes | None = None
    for piece in stream:
        if last is not None:
            yield last
        last = piece


def _ignore_rules(folder: str) -> Any:
    path = os.path.join(folder, ".dockerignore")
    if not os.path.isfile(path):
        return None
    from corten.ignore import IgnoreRules, parse_ignore_file

    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        rules = IgnoreRules(parse_ignore_file(file.read()))
    return lambda name, is_folder: not rules.prunes(name) if is_folder else not rules.ignores(name)


def retarred(stream: Iterator[bytes]) -> Iterator[bytes]:
    """A tar from stdin (plain, gzip, bzip2, xz), its names moved below `context/`."""
    import tarfile

    with tarfile.open(fileobj=io.BufferedReader(_StreamReader(stream)), mode="r|*") as tar:
        for info in tar:
            info.name = f"context/{info.name.lstrip('/')}"
            if info.islnk():
                info.linkname = f"context/{info.linkname.lstrip('/')}"
            yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
            file = tar.extractfile(info) if info.isreg() else None
            while file is not None and (piece := file.read(1 << 20)):
                yield piece
            if file is not None:
                yield b"\0" * (-info.size % 512)
    yield END


class _StreamReader(io.RawIOBase):
    def __init__(self, stream: Iterator[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._stream, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
