"""`/build`: the classic builder's call, and the multipart request of `corten build`. BuildKit's gRPC is in `corten.api.buildkit`."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from corten.api.build_limits import check_parameters, read_limits
from corten.api.jsonstream import StreamedWork, first_line_decides
from corten.api.registry_config import read_registry_config
from corten.api.request import Request
from corten.api.streamformatter import stream_line
from corten.api.types.build import BuildAux, BuildUlimit, DirectoryDescriptorHeader, LocalDirectoriesHeader
from corten.api.types.images import ErrorDetail, StreamMessage
from corten.build.events import BuildEvent
from corten.engine.build.request import BuildRequest, BuildResult
from corten.errors import EngineError, Invalid, Unsupported
from corten.http.response import Reply, Response, Stream
from corten.lazy import LazyModule
from corten.oci.platform import host_platform
from corten.oci.reference import Reference, parse_reference

if TYPE_CHECKING:
    from corten.build import options, solve
    from corten.engine.build import classic, trace
    from corten.engine.build.contexts import descriptors, local, remote, source, tar
else:
    options, solve = LazyModule("corten.build.options"), LazyModule("corten.build.solve")
    classic, trace = (LazyModule(f"corten.engine.build.{name}") for name in ("classic", "trace"))
    descriptors, local = LazyModule("corten.engine.build.contexts.descriptors"), LazyModule("corten.engine.build.contexts.local")
    remote, tar = LazyModule("corten.engine.build.contexts.remote"), LazyModule("corten.engine.build.contexts.tar")

Build = StreamedWork[BuildEvent, BuildResult]
_SOON = 10.0
"""Seconds in which an error of a build is the answer's status; later the head has left."""


async def build(request: Request) -> Reply:
    if request.text("version") == "2":
        raise Unsupported(
            "POST /build with version=2 (BuildKit) is not supported",
            reason="build-version",
            hint="BuildKit's clients build over /grpc and /session; with version=1 the whole Dockerfile syntax works here too",
        )
    check_parameters(request)
    directories = _directories(request)
    build_request = _request(request, directories)
    if _is_multipart(request):
        if directories is not None:
            await asyncio.to_thread(directories.check)
        return Stream(_trace_lines(request, build_request))
    text = classic.ClassicText(remove=request.flag("rm", default=True), no_cache=build_request.options.no_cache)
    quiet = request.flag("q")
    lines = _lines(_started(request, build_request), text, None if quiet else [tag.familiar for tag in build_request.tags])
    try:
        return await first_line_decides(lines, seconds=_SOON, failed=partial(_failed, text=text, quiet=quiet))
    except EngineError as error:
        raise classic.refusal(error, build_request.dockerfile) from error


async def cancel(request: Request) -> Reply:
    """`id`: the `buildid` that POST /build was given."""
    if not request.text("id"):
        raise Invalid("build ID not provided", reason="no-build-id")
    request.app.builds.cancel(request.text("id"))
    return Response(200)


async def _lines(work: Build, text: "classic.ClassicText", tags: list[str] | None) -> AsyncGenerator[bytes, None]:
    """The stream: text lines, then the id. `tags` None: only the id is told. A step that fails says so in the stream, first or not."""
    async with aclosing(work):
        try:
            async for several in work.batches():
                if lines := [line for event in several for line in text.of(event)]:
                    yield b"".join(map(_text_line, lines)) if tags is not None else b""
            built = await work.result()
        except solve.StepFailed as error:
            yield b"".join(_failed(error, text, quiet=tags is None))
            return
        if tags is None:
            yield _text_line(f"{built.image}\n")
            return
        for line in text.finished(built.image, is_new=built.is_new):
            yield _text_line(line)
        yield stream_line(StreamMessage(aux=BuildAux(id=built.image)))
        for line in text.end(built.image, tags):
            yield _text_line(line)


def _failed(error: EngineError, text: "classic.ClassicText", *, quiet: bool) -> Iterator[bytes]:
    """The error as the last line, since the head has left."""
    yield from map(_text_line, text.failed(error) if not quiet else ())
    message, code = classic.failure(error)
    yield stream_line(StreamMessage(error_detail=ErrorDetail(message, code), error=message))


def _text_line(text: str) -> bytes:
    return stream_line(StreamMessage(stream=text))


async def _trace_lines(request: Request, build_request: BuildRequest) -> AsyncIterator[bytes]:
    """The stream of a multipart request: status messages of the steps, then the id, or the error with its place."""
    source: list[str] = []
    work = _started(request, replace(build_request, explain=source.append))
    tracing = trace.Trace(f"{time.time_ns()} {id(request)}")
    try:
        async for several in work.batches():
            statuses = [status for event in several if (status := tracing.of(event)) is not None]
            yield b"".join(stream_line(StreamMessage(id=trace.TRACE_ID, aux=status)) for status in statuses)
        built = await work.result()
        if built.image:
            aux = BuildAux(id=built.image, new=built.is_new, provenance=msgspec.Raw(built.provenance))
            yield stream_line(StreamMessage(aux=aux))
    except EngineError as error:
        details = trace.failure_details(error, tracing, "".join(source), build_request.dockerfile)
        yield stream_line(StreamMessage(id=trace.TRACE_ID, aux={"error": details}))
        yield stream_line(StreamMessage(error_detail=ErrorDetail(error.message, 0), error=error.message))
    finally:
        await work.aclose()


def _started(request: Request, build_request: BuildRequest) -> Build:
    return StreamedWork(lambda emit: request.app.builds.build(build_request, emit))


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type") == tar.MULTIPART_TYPE


def _request(request: Request, directories: "descriptors.LocalDirectories | None") -> BuildRequest:
    build_options = options.BuildOptions(
        target=request.text("target"),
        build_args=_mapping(request, "buildargs"),
        labels={k: v or "" for k, v in _mapping(request, "labels").items()},
        no_cache=request.flag("nocache"),
        pull=request.flag("pull"),
        platform=request.text("platform") or str(host_platform()),
        network=request.text("networkmode") or "default",
        extra_hosts=tuple(h for value in request.values("extrahosts") for h in value.split(",") if h),
        shm_size=request.integer("shmsize"),
        ulimits=_ulimits(request),
        epoch=_epoch(request),
        limits=read_limits(request),
    )
    tags = [_tag(text) for text in request.values("t") if text]
    return BuildRequest(
        id=request.text("buildid"),
        options=build_options,
        source=_source(request, directories, keep_git_dir=build_options.keep_git_dir),
        dockerfile=_dockerfile(request),
        remote=request.text("remote"),
        tags=tags,
        credentials=read_registry_config(request.headers.get("x-registry-config", "")),
        cache_from=[{"type": "here", "ref": name} for name in _list(request, "cachefrom")],
    )


def _dockerfile(request: Request) -> str:
    return request.text("dockerfile") or "Dockerfile"


def _source(request: Request, directories: "descriptors.LocalDirectories | None", *, keep_git_dir: bool) -> "source.ContextSource":
    found: source.ContextSource = tar.TarContext(request.stream(), multipart=_is_multipart(request))
    if directories is not None:
        found = local.LocalContext(directories, found)
    if url := request.text("remote"):
        found = remote.RemoteContext(url, _dockerfile(request), keep_git_dir, found)
    return found


def _directories(request: Request) -> "descriptors.LocalDirectories | None":
    """Directories that the client wants read in place. Raises Invalid."""
    text = request.headers.get("x-corten-folders")
    if not text:
        return None
    try:
        header = msgspec.json.decode(text, type=LocalDirectoriesHeader)
    except msgspec.DecodeError as error:
        raise Invalid(f"X-Corten-Folders: {error}", reason="bad-build-parameter") from error
    peer = request.http.peer
    named = {name: _descriptor(one) for name, one in header.named.items()}
    context = _descriptor(header.context) if header.context else None
    return descriptors.LocalDirectories(peer.pid if peer else 0, peer.uid if peer else 0, header.boot, context, named)


def _descriptor(descriptor: DirectoryDescriptorHeader) -> "descriptors.DirectoryDescriptor":
    return descriptors.DirectoryDescriptor(descriptor.fd, descriptor.device, descriptor.inode)


def _tag(text: str) -> Reference:
    reference = parse_reference(text)
    if reference.digest:
        raise Invalid(f"invalid tag {text!r}: a digest cannot be given to a build", reason="bad-reference")
    return reference.with_default_tag()


def _list(request: Request, name: str) -> list[str]:
    text = request.text(name)
    try:
        return msgspec.json.decode(text, type=list[str] | None) or [] if text else []
    except msgspec.DecodeError as error:
        raise Invalid(f"error reading {name}: {error}", reason="bad-build-parameter") from error


def _mapping(request: Request, name: str) -> dict[str, str | None]:
    text = request.text(name)
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str | None] | None) or {}
    except msgspec.DecodeError as error:
        raise Invalid(f"error reading {name}: {error}", reason="bad-build-parameter") from error


def _ulimits(request: Request) -> tuple[tuple[str, int, int], ...]:
    text = request.text("ulimits")
    if not text:
        return ()
    try:
        found = msgspec.json.decode(text, type=list[BuildUlimit] | None) or ()
    except msgspec.DecodeError as error:
        raise Invalid(f"error reading ulimits: {error}", reason="bad-build-parameter") from error
    return tuple((limit.name, limit.soft, limit.hard) for limit in found)


def _epoch(request: Request) -> int | None:
    text = _mapping(request, "buildargs").get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdecimal():
        raise Invalid(f"invalid SOURCE_DATE_EPOCH: {text}", reason="bad-epoch")
    return int(text)
