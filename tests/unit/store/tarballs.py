"""Archives for tests, made by the standard library's tarfile, and their bytes in chunks of any size."""

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

USTAR, GNU, PAX = tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT


@dataclass(frozen=True, slots=True)
class Member:
    """`kind`: file, dir, link (symbolic), hard, fifo, char, block."""

    name: str
    kind: str = "file"
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    mtime: float = 1_700_000_000
    uid: int = field(default_factory=os.getuid)
    gid: int = field(default_factory=os.getgid)
    pax: dict[str, str] = field(default_factory=dict)
    device: tuple[int, int] = (0, 0)


_TYPES = {
    "file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE,
}  # fmt: skip


def tarball(members: Sequence[Member], format: int = PAX) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type = _TYPES[member.kind]
            info.size = len(member.data)
            info.mode, info.mtime, info.linkname = member.mode, member.mtime, member.link
            info.uid, info.gid, info.pax_headers = member.uid, member.gid, member.pax
            info.devmajor, info.devminor = member.device
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
