"""What `build` sends beside the context: secrets, agents, named contexts, options; all of it in front of the context in one tar."""

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from corten.cli.archive.headers import file_header
from corten.cli.errors import Failure
from corten.cli.kinds import csv_fields

PARCEL_TYPE = "application/x-corten-build"
END = b"\0" * 1024


class Parts(NamedTuple):
    """`folders` are the named contexts on this machine; `options` goes as JSON."""

    options: dict[str, Any]
    secrets: dict[str, bytes]
    folders: dict[str, str]


def parcel(parts: Parts, context: Iterator[bytes] | None, others: Mapping[str, bytes] | None = None) -> Iterator[bytes]:
    """The whole body. `context` is a tar stream whose names begin with `context/`, with its end; `others` are members by name."""
    yield _member("options.json", json.dumps(parts.options).encode())
    for name, value in parts.secrets.items():
        yield _member(f"secret/{name}", value)
    for name, value in (others or {}).items():
        yield _member(name, value)
    if parts.folders:
        from corten.cli.archive.packing import pack
    for name, folder in parts.folders.items():
        yield from _unended(pack(folder, f"named/{name}", keep=_ignored(folder), follow=True))
    yield from context or [END]


def _member(name: str, content: bytes) -> bytes:
    return file_header(name, len(content), 0o600) + content + b"\0" * (-len(content) % 512)


def _unended(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Without the last piece, which is the end of the archive."""
    last: bytes | None = None
    for piece in stream:
        if last is not None:
            yield last
        last = piece


def _ignored(folder: str) -> Any:
    path = os.path.join(folder, ".dockerignore")
    if not os.path.isfile(path):
        return None
    from corten.ignore import IgnoreRules, parse_ignore_file

    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        rules = IgnoreRules(parse_ignore_file(file.read()))
    return lambda name, is_folder: not rules.prunes(name) if is_folder else not rules.ignores(name)


def rewrapped(stream: Iterator[bytes]) -> Iterator[bytes]:
    """A tar from elsewhere (plain, gzip, bzip2, xz), its names moved below `context/`."""
    import tarfile

    with tarfile.open(fileobj=io.BufferedReader(_Reading(stream)), mode="r|*") as tar:
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


class _Reading(io.RawIOBase):
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


def fields_of(text: str, keys: Sequence[str], flag: str) -> dict[str, str]:
    """`a=b,c=d` of a flag. Raises Failure."""
    found: dict[str, str] = {}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise Failure(f"invalid field '{field}' must be a key=value pair")
        if key.lower() not in keys:
            raise Failure(f"unexpected key '{key}' in '{field}' of --{flag}")
        found[key.lower()] = value
    return found


def read_secrets(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """`id=NAME[,src=PATH|,env=NAME]`; `type=file|env`. Raises Failure."""
    found = {}
    for text in texts:
        fields = fields_of(text, ("id", "src", "source", "env", "type"), "secret")
        name = fields.get("id", "")
        if not name:
            raise Failure("secret needs an id: --secret id=NAME,src=PATH")
        path, variable = fields.get("src", fields.get("source", "")), fields.get("env", "")
        if fields.get("type") == "env" and not variable:
            variable, path = path or name, ""
        if not path and not variable:
            variable, path = (name, "") if name in environ else ("", name)
        found[name] = _secret(name, path, variable, environ)
    return found


def _secret(name: str, path: str, variable: str, environ: Mapping[str, str]) -> bytes:
    if variable:
        return environ.get(variable, "").encode(errors="surrogateescape")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"failed to read secret {name}: {path}: {error.strerror}") from None


def read_agents(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`default` or `ID=SOCKET`: agent sockets by id. Raises Failure for keys, which an agent has to hold."""
    found = {}
    for text in texts:
        name, _, path = text.partition("=")
        socket = path or environ.get("SSH_AUTH_SOCK", "")
        if not socket:
            raise Failure("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        if not os.path.exists(socket):
            raise Failure(f"no SSH agent {name}: stat {socket}: no such file or directory")
        if os.path.isfile(socket):
            raise Failure(f"{socket} is a key, and only agents can be forwarded: add it with ssh-add, then use --ssh {name}")
        found[name or "default"] = os.path.abspath(socket)
    return found


def read_caches(texts: Sequence[str], flag: str, host: str) -> list[dict[str, str]]:
    """`type=KIND,key=value,…` or an image. Folders become absolute; they must be on the engine's machine. Raises Failure."""
    found = []
    for text in texts:
        if "=" not in text:
            found.append({"type": "image" if flag == "cache-from" else "registry", "ref": text})
            continue
        fields = dict[str, str]()
        for field in csv_fields(text):
            key, equals, value = field.partition("=")
            if not equals:
                raise Failure(f"invalid field '{field}' must be a key=value pair")
            fields[key.lower()] = value
        if not fields.get("type"):
            raise Failure(f"--{flag}: type is required: {text}")
        for key in {"src", "dest"} & fields.keys() if fields.get("type") == "local" else ():
            if not host.startswith("unix://"):
                raise Failure(f"--{flag} type=local needs an engine on this machine, and this one is at {host}: type=registry works there")
            fields[key] = os.path.abspath(fields[key])
            if key == "dest":
                _make_folder(fields[key], flag)
        found.append(fields)
    return found


def _make_folder(path: str, flag: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Failure(f"--{flag}: cannot make {path}: {error.strerror}") from None


def read_contexts(texts: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """`--build-context NAME=WHERE`: folders of this machine, and what the engine fetches. Raises Failure."""
    folders, others = dict[str, str](), dict[str, str]()
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or not name:
            raise Failure(f"invalid context value: {text}, expected key=value")
        if os.path.isdir(where):
            folders[name] = where
        elif "://" in where or where.startswith("git@"):
            others[name] = where
        else:
            raise Failure(f"failed to get build context {name}: stat {where}: no such file or directory")
    return folders, others
