"""What `-v`, `--mount`, `--tmpfs` and an image's VOLUME ask for, resolved to the container's mount points.

Parsing (`parse_bind`, `requested`) is pure; `ensure_sources` touches the host when the container starts. A mount point whose
`request` is None came from `-v`: a host directory it names is made when missing, one named by `--mount` must exist.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from corten.engine.values.container import ContainerConfig, HostConfig, MountPoint, MountRequest
from corten.errors import EngineError, Invalid, Unsupported
from corten.ids import ContainerId, DiffId

PROPAGATIONS = frozenset(("private", "rprivate", "slave", "rslave", "shared", "rshared"))
_CONSISTENCIES = frozenset(("consistent", "cached", "delegated", "default"))
_LABEL_MODES = frozenset(("z", "Z"))
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as a container mounts it: `source` is its directory on the host."""

    name: str
    source: str
    driver: str = "local"
    anonymous: bool = False


class Volumes(Protocol):
    """What containers need of volumes."""

    async def ensure(self, request: MountRequest, *, user: ContainerId, layers: Sequence[DiffId] = ()) -> Volume:
        """The volume that `request` names, made when missing (anonymous when it names none), held by the container `user`.

        An empty one is filled from what the image of `layers` has at the target."""
        ...

    async def activate(self, user: ContainerId) -> None:
        """Before `user` starts: mount what its volumes are made of."""
        ...

    async def release(self, user: ContainerId, *, remove_anonymous: bool) -> None:
        """The container is gone; its anonymous volumes too, when asked for."""
        ...


def parse_bind(spec: str) -> MountPoint:
    """One `-v` value: `[source:]destination[:mode]`. A source that is no absolute path names a volume.

    Raises Invalid with Docker's wording."""
    source, destination, mode = _split(spec)
    _check_destination(spec, destination)
    options = _mode_options(mode)
    if not source.startswith("/"):
        return _volume_point(source, posixpath.normpath(destination), mode, options)
    return MountPoint(
        type="bind",
        source=posixpath.normpath(source),
        destination=posixpath.normpath(destination),
        mode=mode,
        rw="ro" not in options,
        propagation=next((o for o in options if o in PROPAGATIONS), "rprivate"),
    )


def parse_mount(request: MountRequest) -> MountPoint:
    """One `--mount`, checked as Docker checks it; a bind's source must exist on the host (unless create-mountpoint is asked for)."""
    _check_request(request)
    destination = posixpath.normpath(request.target)
    if request.type == "tmpfs":
        return MountPoint(type="tmpfs", source="", destination=destination, rw=not request.read_only, request=request)
    if request.type == "volume":
        return MountPoint(
            type="volume", source="", name=request.source, destination=destination, mode="z", rw=not request.read_only, request=request
        )
    source = posixpath.normpath(request.source)
    if not request.create_mountpoint and not os.path.lexists(source):
        raise source_missing(source)
    return MountPoint(
        type="bind",
        source=source,
        destination=destination,
        rw=not request.read_only,
        propagation=request.propagation or "rprivate",
        request=request,
    )


def requested(config: ContainerConfig, host: HostConfig) -> list[MountPoint]:
    """Every mount point the user and the image ask for, in order; volumes still without a source.

    Raises Invalid when two of them claim one destination; an image's VOLUME gives way to whatever else is mounted there."""
    points = [parse_bind(spec) for spec in host.binds] + [parse_mount(request) for request in host.mounts]
    for target in host.tmpfs:
        if not target.startswith("/"):
            raise Invalid(f"invalid mount path: '{target}' mount path must be absolute", reason="bad-mount")
    _refuse_duplicates([*(p.destination for p in points), *(posixpath.normpath(t) for t in host.tmpfs)])
    taken = {p.destination for p in points} | {posixpath.normpath(t) for t in host.tmpfs}
    for target in config.volumes:
        destination = posixpath.normpath(target)
        if destination not in taken:
            points.append(MountPoint(type="volume", source="", destination=destination, anonymous=True))
    return points


async def with_volumes(
    points: Iterable[MountPoint], volumes: Volumes, *, user: ContainerId, layers: Sequence[DiffId]
) -> tuple[MountPoint, ...]:
    """The points with each volume made, filled from the image and held for `user`."""
    found: list[MountPoint] = []
    for point in points:
        if point.type != "volume":
            found.append(point)
            continue
        request = point.request or MountRequest(type="volume", target=point.destination, source=point.name)
        volume = await volumes.ensure(request, user=user, layers=layers)
        found.append(
            MountPoint(
                type="volume",
                source=volume.source,
                destination=point.destination,
                name=volume.name,
                driver=volume.driver,
                mode=point.mode,
                rw=point.rw,
                request=point.request,
                anonymous=volume.anonymous,
            )
        )
    return tuple(found)


def ensure_sources(points: Sequence[MountPoint]) -> None:
    """Before a start: make missing host directories of `-v`, refuse missing sources of `--mount`."""
    for point in points:
        if point.type != "bind" or os.path.lexists(point.source):
            continue
        if point.request is not None and not point.request.create_mountpoint:
            raise source_missing(point.source)
        try:
            os.makedirs(point.source, exist_ok=True)
        except OSError as error:
            detail = f"mkdir {point.source}: {(error.strerror or '').lower()}"
            raise EngineError(f"error while creating mount source path '{point.source}': {detail}", reason="mount-source") from error


def source_missing(path: str) -> Invalid:
    return Invalid(f'invalid mount config for type "bind": bind source path does not exist: {path}', reason="mount-source-missing")


def _split(spec: str) -> tuple[str, str, str]:
    parts = spec.split(":")
    if len(parts) > 3 or "" in parts:
        raise Invalid(f"invalid volume specification: '{spec}'", reason="bad-mount")
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def _check_destination(spec: str, destination: str) -> None:
    problem = ""
    if not destination.startswith("/"):
        problem = f"invalid mount path: '{destination}' mount path must be absolute"
    elif posixpath.normpath(destination) == "/":
        problem = "invalid specification: destination can't be '/'"
    if problem:
        raise Invalid(f"invalid volume specification: '{spec}': invalid mount config for type \"bind\": {problem}", reason="bad-mount")


def _mode_options(mode: str) -> frozenset[str]:
    """The options of `-v`'s third part: each known, and at most one of a kind."""
    options = mode.split(",") if mode else []
    kinds: tuple[frozenset[str], ...] = (frozenset(("ro", "rw")), PROPAGATIONS, _CONSISTENCIES, _LABEL_MODES, frozenset(("nocopy",)))
    for option in options:
        if not any(option in kind for kind in kinds):
            raise Invalid(f"invalid mode: {mode}", reason="bad-mount")
    if any(sum(option in kind for option in options) > 1 for kind in kinds):
        raise Invalid(f"invalid mode: {mode}", reason="bad-mount")
    return frozenset(options)


def _volume_point(name: str, destination: str, mode: str, options: frozenset[str]) -> MountPoint:
    if name and not _VOLUME_NAME.fullmatch(name):
        raise Invalid(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path",
            reason="bad-volume-name",
        )
    return MountPoint(
        type="volume", source="", name=name, destination=destination, mode=mode or "z", rw="ro" not in options, anonymous=not name
    )


def _check_request(request: MountRequest) -> None:
    problem = _request_problem(request)
    if problem:
        raise Invalid(f'invalid mount config for type "{request.type}": {problem}', reason="bad-mount")
    if request.type == "image":
        raise Unsupported(
            "mounts of type image are not supported yet",
            reason="image-mounts-not-built",
            hint="copy the files into a directory and bind it",
        )


def _request_problem(request: MountRequest) -> str:
    if request.type not in ("bind", "volume", "tmpfs", "image"):
        return "mount type unknown"
    if not request.target:
        return "field Target must not be empty"
    if not request.target.startswith("/"):
        return f"invalid mount path: '{request.target}' mount path must be absolute"
    if posixpath.normpath(request.target) == "/":
        return "invalid specification: destination can't be '/'"
    if request.type == "tmpfs":
        return "field Source must not be specified" if request.source else ""
    return _bind_problem(request) if request.type == "bind" else ""


def _bind_problem(request: MountRequest) -> str:
    if not request.source:
        return "field Source must not be empty"
    if not request.source.startswith("/"):
        return f"invalid mount path: '{request.source}' mount path must be absolute"
    if request.propagation and request.propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {request.propagation}"
    return ""


def _refuse_duplicates(destinations: Iterable[str]) -> None:
    seen: set[str] = set()
    for destination in destinations:
        if destination in seen:
            raise Invalid(f"Duplicate mount point: {destination}", reason="duplicate-mount")
        seen.add(destination)
