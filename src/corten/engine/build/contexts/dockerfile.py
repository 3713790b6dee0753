"""The Dockerfile and the ignore file of a context."""

import os
import posixpath

from corten.build.dockerfile.errors import DockerfileError
from corten.build.dockerfile.lexer import LARGEST
from corten.build.files.tree import Tree
from corten.errors import Invalid, NotFound
from corten.ignore import IgnoreRules, parse_ignore_file

LARGEST_IGNORE = 4 << 20


def read_dockerfile(tree: Tree, name: str, sent: bytes | None) -> str:
    """`sent`: it came beside the context. Raises NotFound in BuildKit's words, Invalid for one that is no text."""
    raw = _found(tree, name) if sent is None else sent
    if len(raw) > LARGEST:
        raise DockerfileError(f"the Dockerfile is larger than {LARGEST >> 20} MiB", line=1)
    if b"\0" in raw:
        raise DockerfileError("there is a NUL byte in the line", line=raw.partition(b"\0")[0].count(b"\n") + 1)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{name} is not UTF-8 text: {error}", reason="dockerfile-encoding") from error


def _found(tree: Tree, name: str) -> bytes:
    clean = posixpath.normpath("/" + name).lstrip("/")
    try:
        return _read(tree, clean, LARGEST + 1)
    except OSError as error:
        hint = f"the context has no file {name}"
        raise NotFound(f"failed to read dockerfile: open {name}: no such file or directory", reason="no-dockerfile", hint=hint) from error


def ignore_rules(tree: Tree, dockerfile: str, sent: bytes | None = None) -> IgnoreRules | None:
    """`NAME.dockerignore` beside the Dockerfile wins over `.dockerignore`; the Dockerfile itself is read in any case.

    `dockerfile` "": it is not one of the tree's files; `sent` is what lies beside it then.
    """
    if sent is not None:
        return IgnoreRules(parse_ignore_file(sent.decode(errors="replace")))
    for name in (f"{dockerfile}.dockerignore", ".dockerignore") if dockerfile else (".dockerignore",):
        try:
            return IgnoreRules(parse_ignore_file(_read(tree, name, LARGEST_IGNORE).decode(errors="replace")))
        except OSError:
            continue
    return None


def _read(tree: Tree, path: str, limit: int) -> bytes:
    with open(tree.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        return file.read(limit)
