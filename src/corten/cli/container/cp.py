"""`cp`: files between a container and this machine, by the rules of `cp -a`."""

import json
import os
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from corten.cli.archive.packing import pack
from corten.cli.archive.unpacking import PieceReader, Unpacker
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL
from corten.cli.session import Action, Session
from corten.cli.terminal.conversation import write_all
from corten.client.api import Api
from corten.client.errors import ApiError
from corten.client.urls import quoted
from corten.units import human_size

STAT_HEADER = "x-docker-container-path-stat"
GO_DIR, GO_SYMLINK = 1 << 31, 1 << 27
TAR_TYPE = {"Content-Type": "application/x-tar"}


class Place(NamedTuple):
    """One side of a copy; `container` is "" for this machine."""

    container: str
    path: str


class Target(NamedTuple):
    """Where an archive goes: into `folder`, its first name replaced by `root`; "" lays its content into the folder itself."""

    folder: str
    root: str


class Kind(NamedTuple):
    """What is at a path."""

    exists: bool
    is_folder: bool


def parse_place(text: str) -> Place:
    """`CONTAINER:PATH`, or a local path: an absolute one, or one whose part before the colon starts with a dot."""
    container, colon, path = text.partition(":")
    if os.path.isabs(text) or not colon or container.startswith("."):
        return Place("", text)
    return Place(container, path)


def cp(session: Session, values: Values, arguments: list[str]) -> int:
    source, destination = map(parse_place, arguments)
    if not arguments[0]:
        raise Failure("source can not be empty")
    if not arguments[1]:
        raise Failure("destination can not be empty")
    if source.container and destination.container:
        raise Failure("copying between containers is not supported")
    if not source.container and not destination.container:
        raise Failure("must specify at least one container source")
    try:
        copied = _out(session, source, destination.path, values) if source.container else _in(session, source.path, destination, values)
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        raise Failure(f"{_operation(error)}{error.filename or ''}: {(error.strerror or str(error)).lower()}") from None
    if copied and not values.on("quiet") and session.err.isatty():
        where = arguments[1]
        session.warn(f"Successfully copied {human_size(copied)} to {where}")
    return 0


def _operation(error: OSError) -> str:
    return "lstat " if isinstance(error, FileNotFoundError) else ""


def choose(path: str, found: Kind, name: str, *, source_is_folder: bool, content_only: bool) -> Target:
    """Where a source called `name` lands when the destination is `path`, where `found` is now. Raises Failure with Docker's text."""
    parent, base = os.path.split(path.rstrip("/") or "/")
    if found.is_folder:
        return Target(path, "" if content_only else name)
    if found.exists:
        if source_is_folder:
            raise Failure("cannot copy directory")
        if path.endswith("/"):
            raise Failure("not a directory")
        return Target(parent or ".", base)
    if not source_is_folder and path.endswith("/"):
        raise Failure("no such directory")
    return Target(parent or ".", base)


def _content_only(path: str) -> bool:
    return path.endswith("/.") or path == "."


def _base(path: str) -> str:
    return os.path.basename(os.path.normpath(path)) or "/"


# -- out of a container


def _out(session: Session, source: Place, destination: str, values: Values) -> int:
    path = source.path
    if values.on("follow-link"):
        path = _followed(session.api, source.container, path)
    answer = session.api.call("GET", f"/containers/{quoted(source.container)}/archive", {"path": path})
    if destination == "-":
        _to_stdout(session, answer.pieces())
        return 0
    is_folder = _is_folder(answer.headers)
    absolute = os.path.abspath(destination) + ("/" if destination.endswith("/") else "")
    found = Kind(os.path.lexists(absolute.rstrip("/") or "/"), os.path.isdir(absolute))
    if found.exists and not found.is_folder and absolute.endswith("/"):
        raise Failure(f"stat {absolute}: not a directory")
    target = choose(absolute, found, _base(source.path), source_is_folder=is_folder, content_only=_content_only(source.path))
    if not os.path.isdir(target.folder):
        raise Failure(f'invalid output path: directory "{target.folder}" does not exist')
    if not found.exists and is_folder:
        os.mkdir(os.path.join(target.folder, target.root))
    reader = PieceReader(answer.pieces())
    Unpacker(target.folder, target.root, owners=values.on("archive")).unpack(reader)
    return reader.received


def _to_stdout(session: Session, pieces: Iterable[bytes]) -> None:
    session.out.flush()
    for piece in pieces:
        write_all(1, piece)


def _path_stat(headers: dict[str, str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(b64decode(headers[STAT_HEADER]))
    return found


def _is_folder(headers: dict[str, str]) -> bool:
    mode = _path_stat(headers).get("mode")
    return isinstance(mode, int) and bool(mode & GO_DIR)


def _stat(api: Api, container: str, path: str) -> dict[str, object] | None:
    """What is at a path of a container; None when there is nothing, or when asking fails: the copy itself then says why."""
    try:
        with api.call("HEAD", f"/containers/{quoted(container)}/archive", {"path": path}) as answer:
            return _path_stat(answer.headers)
    except ApiError:
        return None


def _followed(api: Api, container: str, path: str) -> str:
    """The path that a link leads to; the path itself when it is none."""
    found = _stat(api, container, path)
    mode = found.get("mode") if found else 0
    if found is None or not isinstance(mode, int) or not mode & GO_SYMLINK:
        return path
    link = str(found.get("linkTarget", ""))
    return link if os.path.isabs(link) else os.path.join(os.path.dirname(path), link)


# -- into a container


def _in(session: Session, source: str, destination: Place, values: Values) -> int:
    api, container = session.api, destination.container
    path = destination.path if destination.path.startswith("/") else f"/{destination.path}"
    path = _followed(api, container, path)
    stat = _stat(api, container, path)
    mode = stat.get("mode") if stat else 0
    found = Kind(stat is not None, isinstance(mode, int) and bool(mode & GO_DIR))
    if source == "-":
        if not found.is_folder:
            raise Failure(f'destination "{container}:{path}" must be a directory')
        _put(api, container, path, _standard_input(), values)
        return 0
    if not os.path.lexists(source):
        raise Failure(f"lstat {os.path.abspath(source)}: no such file or directory")
    follow = values.on("follow-link") or source.endswith("/") or _content_only(source)
    is_folder = os.path.isdir(source) and (follow or not os.path.islink(source))
    target = choose(path, found, _base(os.path.abspath(source)), source_is_folder=is_folder, content_only=_content_only(source))
    counted = _Counter(pack(source, target.root or ".", follow=follow))
    _put(api, container, target.folder, counted, values)
    return counted.size


def _put(api: Api, container: str, folder: str, pieces: Iterable[bytes], values: Values) -> None:
    query = {"path": folder, "noOverwriteDirNonDir": "true", **({"copyUIDGID": "true"} if values.on("archive") else {})}
    api.call("PUT", f"/containers/{quoted(container)}/archive", query, stream=pieces, headers=TAR_TYPE).read()


def _standard_input() -> Iterator[bytes]:
    if sys.stdin.isatty():
        raise Failure("refusing to read a tar archive from a terminal")
    while piece := os.read(0, 1 << 20):
        yield piece


class _Counter:
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            yield piece


CP = Action(
    cp,
    (
        Flag("archive", BOOL, "Keep user and group of the files", short="a"),
        Flag("follow-link", BOOL, "Copy what a link points to", short="L"),
        Flag("quiet", BOOL, "Do not report", short="q"),
    ),
)
