"""Records what docker, podman, buildah and skopeo write: `python -m tests.integration.archives.record 'PREFIX'` (root).

PREFIX runs a program where those tools are, e.g. `peers.sh enter`. Each archive holds one small image that prints "ok" and ends with 7.
"""

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NAME = "localhost/corten-recorded:v1"
DOCKERFILE = """\
FROM scratch
COPY prog old /
COPY more/ /more/
LABEL made=here
ENV A=b
CMD ["/prog"]
"""
RECIPES = {
    "docker": "docker -H unix:///peers/docker.sock import -c 'CMD [\"/prog\"]' -c 'LABEL made=here' -c 'ENV A=b' rootfs.tar NAME && "
    "docker -H unix:///peers/docker.sock save -o OUT NAME; docker -H unix:///peers/docker.sock rmi NAME",
    "podman-docker-archive": "podman build --isolation chroot -q -t NAME . && podman save --format docker-archive -o OUT NAME",
    "podman-oci-archive": "podman save --format oci-archive -o OUT NAME",
    "podman-uncompressed": "podman save --format oci-archive --uncompressed -o OUT NAME",
    "buildah-zstd": "buildah push -q --compression-format zstd --format oci NAME oci-archive:OUT:NAME",
    "buildah-docker-types": "buildah push -q --format v2s2 NAME oci-archive:OUT:NAME",
    "skopeo-docker-archive": "skopeo copy -q containers-storage:NAME docker-archive:OUT:NAME; podman rmi -f NAME",
}


def program() -> bytes:
    """A static x86-64 program: prints "ok", ends with 7."""
    text = bytes.fromhex("b801000000bf01000000488d3517000000ba030000000f05b83c000000bf070000000f05") + b"\x90" * 2 + b"ok\n"
    start, header = 0x400000, 64 + 56
    text = text.replace(bytes.fromhex("17000000"), struct.pack("<i", 36 + 2 - 17), 1)
    size = header + len(text)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    elf = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, start + header, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, size, size, 0x1000) + text


def rootfs() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, mode in (("prog", program(), 0o755), ("old", b"old\n", 0o644), ("more/file", b"more\n", 0o600)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def main(prefix: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "rootfs.tar").write_bytes(rootfs())
        with tarfile.open(folder / "rootfs.tar") as tar:
            tar.extractall(folder, filter="data")
        (folder / "Dockerfile").write_text(DOCKERFILE)
        for kind, recipe in RECIPES.items():
            out = folder / f"{kind}.out"
            line = recipe.replace("OUT", str(out)).replace("NAME", NAME)
            subprocess.run([*prefix.split(), "sh", "-ec", f"cd {work}; {line}"], check=True)
            (HERE / f"{kind}.tar.gz").write_bytes(gzip.compress(out.read_bytes(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
