"""ADD beyond COPY: archives that are unpacked, files from URLs, directories from git repositories."""

import hashlib
import os
import posixpath
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import unquote, urlsplit

from corten.build.dockerfile import instructions as ins
from corten.build.files.copier import Copier
from corten.build.files.fetched import FetchedSource
from corten.build.files.git import check_out, is_git, parse_git
from corten.build.files.tempdirs import TempDirs
from corten.build.files.tree import Tree
from corten.build.steps.cancel import CancelToken
from corten.build.steps.context import StepContext
from corten.errors import Invalid, Unavailable
from corten.registry.transport import host_trust
from corten.store.streams.compression import decompressed, sniffed
from corten.store.tar.header import Entry, checksum_holds
from corten.store.tar.reader import TarReader
from corten.store.tar.unpack import Unpacker, archive_error

_URL = re.compile(r"https?://", re.IGNORECASE)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 1 << 20


def is_remote(source: str) -> bool:
    return bool(_URL.match(source)) or is_git(source)


@asynccontextmanager
async def fetched(source: str, step: ins.Copy, ctx: StepContext) -> AsyncIterator[FetchedSource]:
    """What is at a URL or in a repository, checked against `--checksum`, for as long as it is used.

    Raises Unavailable, Invalid, Unsupported.
    """
    if is_git(source):
        key: object = ("git", source, step.keep_git_dir, step.checksum)
        work = partial(_cloned, source, step, ctx.worker.tempdirs)
    else:
        if step.keep_git_dir:
            raise Invalid("keep-git-dir is only for git sources", reason="add-url")
        headers = await _authorization(source, ctx)
        key = ("url", source, step.checksum, tuple(headers.items()), ctx.newest)
        cancel = CancelToken()
        work = partial(cancel.in_thread, lambda: _fetch(source, step.checksum, headers, ctx, cancel))
    if ctx.options.no_cache:
        key = object()
    async with ctx.worker.fetched.held(key, work) as remote:
        yield remote


async def _cloned(source: str, step: ins.Copy, tempdirs: TempDirs) -> FetchedSource:
    parsed = parse_git(source)
    parsed = replace(parsed, keep_git_dir=parsed.keep_git_dir or step.keep_git_dir, commit=step.checksum or parsed.commit)
    folder = tempdirs.directory()
    try:
        commit = await check_out(parsed, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FetchedSource(folder, "", f"git:{commit}:{parsed.folder}:{parsed.keep_git_dir}", is_folder=True)


async def _authorization(url: str, ctx: StepContext) -> dict[str, str]:
    """From the secrets HTTP_AUTH_HEADER_host and HTTP_AUTH_TOKEN_host, as BuildKit."""
    host = urlsplit(url).netloc
    if (header := await ctx.sources.secrets.find(f"HTTP_AUTH_HEADER_{host}")) is not None:
        return {"Authorization": header.decode().strip()}
    if (token := await ctx.sources.secrets.find(f"HTTP_AUTH_TOKEN_{host}")) is not None:
        return {"Authorization": f"Bearer {token.decode().strip()}"}
    return {}


def _fetch(url: str, checksum: str, headers: dict[str, str], ctx: StepContext, cancel: CancelToken) -> FetchedSource:
    import urllib3  # three megabytes that an idle daemon does not carry

    if checksum and not _SHA256.fullmatch(checksum):
        raise Invalid(f"invalid checksum {checksum!r}: sha256:… is expected", reason="add-checksum")
    folder = ctx.worker.tempdirs.directory()
    try:
        return _downloaded(url, checksum, headers, ctx.newest, folder, cancel)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, urllib3.exceptions.HTTPError):
            why = str(getattr(error, "reason", None) or error).rpartition(": ")[2]
            raise Unavailable(f"{url}: {why}", reason="add-url") from error
        raise


def _downloaded(url: str, checksum: str, headers: dict[str, str], newest: int | None, folder: str, cancel: CancelToken) -> FetchedSource:
    import urllib3

    total = hashlib.sha256()
    answer = urllib3.PoolManager(ssl_context=host_trust()).request(
        "GET", url, headers=headers, preload_content=False, retries=3, timeout=60
    )
    with closing(answer):
        if answer.status != 200:
            raise Invalid(f"invalid response status {answer.status}", reason="add-url", hint=url)
        name = _file_name(url, answer.headers.get("Content-Disposition", ""))
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            while piece := answer.read(_PIECE):
                cancel.check()
                total.update(piece)
                file.write(piece)
        modified = _modified(answer.headers.get("Last-Modified", ""))
    time = _time(modified, newest)
    os.chmod(path, 0o600)
    os.utime(path, ns=(time, time))
    digest = f"sha256:{total.hexdigest()}"
    if checksum and checksum != digest:
        raise Invalid(f"digest mismatch {digest}: {checksum}", reason="add-checksum", hint=f"{url} is not what --checksum expects")
    return FetchedSource(folder, name, digest, time)


def _time(modified: int | None, newest: int | None) -> int:
    """Of a file without Last-Modified it is the build's one time, else 1970 as in BuildKit."""
    if newest is None:
        return modified or 0
    return newest if modified is None else min(modified, newest)


def _file_name(url: str, disposition: str) -> str:
    if match := re.search(r'filename="?([^";/]+)"?', disposition):
        return match[1]
    return unquote(posixpath.basename(urlsplit(url).path)).replace("/", "_") or "download"


def _modified(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 10**9
    except (TypeError, ValueError):
        return None


def is_archive(tree: Tree, path: str) -> bool:
    """Whether it is a tar, plain or compressed, by its content."""
    if tree.is_directory(path):
        return False
    try:
        with open(tree.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            compression, chunks = sniffed(_chunks(file.fileno()))
            first = next(iter(decompressed(chunks, compression)), b"")
    except (Invalid, OSError):
        return False
    return len(first) >= 512 and checksum_holds(bytes(first[:512]))


def extract(copier: Copier, path: str, target: str) -> None:
    """The archive's members below `target`: as the archive has them, or all with the owner of `--chown`."""
    folder = copier.directory(target)
    source = copier.source.open(path, os.O_RDONLY | os.O_NONBLOCK)
    owner = copier.stamp.owner if copier.stamp.chown else None
    try:
        _unpack(source, folder, lambda entry: _owned(entry, owner))
    finally:
        os.close(source)
        os.close(folder)


def _owned(entry: Entry, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        entry.uid, entry.gid = owner


def _unpack(source: int, folder: int, change: Callable[[Entry], None]) -> None:
    unpacker = Unpacker(folder, overlay=False)
    entry: Entry | None = None
    try:
        compression, chunks = sniffed(_chunks(source))
        reader = TarReader(decompressed(chunks, compression))
        while (entry := reader.next_entry()) is not None:
            change(entry)
            unpacker.add(entry, reader)
        unpacker.finish()
    except OSError as error:
        raise archive_error(error, entry) from error
    finally:
        unpacker.close()


def _chunks(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, _PIECE):
        yield piece
