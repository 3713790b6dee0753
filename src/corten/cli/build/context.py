"""The build context as a tar stream: a directory without what .dockerignore excludes, an archive or a Dockerfile from stdin."""

import os
import sys
from collections.abc import Callable, Iterator

from corten.cli.errors import Failure

INNER_DOCKERFILE = ".corten-dockerfile"
"""The name in the context of a Dockerfile that lies outside of it."""
PIECE = 1 << 20
TAR_HEADER = 512


def stdin_context(dockerfile: str) -> tuple[Iterator[bytes], str]:
    """A tar archive from stdin as it is, or a Dockerfile as the only file of a context; and the Dockerfile's name in it."""
    if dockerfile == "-":
        raise Failure("invalid argument: can't use stdin for both build context and dockerfile")
    if sys.stdin.isatty():
        raise Failure("refusing to read a Dockerfile from a terminal")
    start = os.read(0, PIECE)
    while len(start) < TAR_HEADER and (more := os.read(0, PIECE)):
        start += more
    if _is_archive(start):
        return _continued(start), dockerfile or "Dockerfile"
    if dockerfile:
        raise Failure("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
    return _one_file("Dockerfile", b"".join(_continued(start))), "Dockerfile"


def _continued(start: bytes) -> Iterator[bytes]:
    yield start
    while more := os.read(0, PIECE):
        yield more


def _is_archive(start: bytes) -> bool:
    magics = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
    return start.startswith(magics) or start[257:262] == b"ustar"


def _one_file(name: str, content: bytes) -> Iterator[bytes]:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    yield info.tobuf() + content + b"\0" * (-len(content) % 512) + b"\0" * 1024


def local_context(folder: str, dockerfile: str, *, root: str = ".") -> tuple[Iterator[bytes], str]:
    """The folder as a tar stream without what .dockerignore names, and the Dockerfile's name in it. Raises Failure.

    Names in the stream begin with `root`.
    """
    if not os.path.isdir(folder):
        raise Failure(f'unable to prepare context: path "{folder}" not found')
    outside: tuple[str, bytes] | None = None
    if dockerfile == "-":
        name, outside = INNER_DOCKERFILE, (INNER_DOCKERFILE, sys.stdin.buffer.read())
    else:
        path = dockerfile if dockerfile else os.path.join(folder, "Dockerfile")
        if os.path.isdir(path):
            raise Failure(f"failed to read dockerfile: read {path}: is a directory")
        if not os.path.isfile(path):
            shown = f"lstat {os.path.abspath(path)}: no such file or directory"
            raise Failure(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {shown}")
        name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder))
        if name.startswith(".."):
            with open(path, "rb") as file:
                name, outside = INNER_DOCKERFILE, (INNER_DOCKERFILE, file.read())
    return _context_stream(folder, root, keeper(folder, name), outside), name


def _context_stream(folder: str, root: str, keep: Callable[[str, bool], bool] | None, outside: tuple[str, bytes] | None) -> Iterator[bytes]:
    from corten.cli.archive.packing import pack

    if outside is not None:
        name, content = outside
        first = b"".join(_one_file(name if root == "." else f"{root}/{name}", content))
        yield first[:-1024]
    yield from pack(folder, root, keep=keep, follow=True)


def keeper(folder: str, dockerfile: str, ignored: bytes | None = None) -> Callable[[str, bool], bool] | None:
    """What .dockerignore lets through: `Dockerfile.dockerignore` beside the Dockerfile goes first. The engine needs both files.

    `dockerfile` "": it is not in the folder; `ignored` is what lies beside it then.
    """
    if ignored is not None:
        return _rules(ignored.decode(errors="surrogateescape"), set())
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            break
    else:
        return None
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return _rules(file.read(), {dockerfile, ".dockerignore", name})


def _rules(text: str, needed: set[str]) -> Callable[[str, bool], bool]:
    from corten.ignore import IgnoreRules, parse_ignore_file

    rules = IgnoreRules(parse_ignore_file(text))

    def keep(path: str, is_folder: bool) -> bool:
        if path in needed or any(n.startswith(path + "/") for n in needed):
            return True
        return not rules.prunes(path) if is_folder else not rules.ignores(path)

    return keep
