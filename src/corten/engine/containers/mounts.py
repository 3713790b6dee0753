"""What `-v`, `--mount`, `--tmpfs`, `--volumes-from` and an image's VOLUME ask for, resolved to the container's mount points.

Parsing (`parse_bind`, `requested`) is pure; `ensure_sources` touches the host when the container starts. A mount point whose
`request` is None came from `-v`: a host directory it names is made when missing, one named by `--mount` must exist.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from corten.engine.spec.tmpfs import request_text, tmpfs_options
from corten.engine.values.container import Container, ContainerConfig, HostConfig, MountPoint, MountRequest
from corten.errors import EngineError, Invalid, NotFound
from corten.ids import ContainerId, DiffId, is_hex64

PROPAGATIONS = frozenset(("private", "rprivate", "slave", "rslave", "shared", "rshared"))
_CONSISTENCIES = frozenset(("consistent", "cached", "delegated", "default"))
LABEL_MODES = frozenset(("z", "Z"))
_CACHE = re.compile(r"(cache:[^:]+):(/[^:]*)(?::([^:]*))?")
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
Find = Callable[[str], Container]
"""A container by name or id; raises NotFound."""


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """A volume as a container mounts it: `source` is its directory on the host."""

    name: str
    source: str
    driver: str = "local"
    anonymous: bool = False


class ContainerVolumes(Protocol):
    """What containers need of volumes."""

    async def ensure(self, request: MountRequest, *, user: ContainerId, layers: Sequence[DiffId] = ()) -> MountedVolume:
        """The volume that `request` names, made when missing (anonymous when it names none), held by the container `user`.

        An empty one is filled from what the image of `layers` has at the target."""
        ...

    async def activate(self, user: ContainerId) -> None:
        """Before `user` starts: mount what its volumes are made of."""
        ...

    async def deactivate(self, user: ContainerId) -> None:
        """After `user` has ended: what was mounted for it and nobody else needs is unmounted."""
        ...

    async def release(self, user: ContainerId, *, remove_anonymous: bool, for_good: bool = False) -> None:
        """The container is gone; its anonymous volumes too, when asked for. `for_good`: past the trash."""
        ...


def parse_bind(spec: str) -> MountPoint:
    """One `-v` value: `[source:]destination[:mode]`. A source that is no absolute path names a volume; `cache:ID` is a build's cache.

    Raises Invalid with Docker's wording."""
    source, destination, mode = _split(spec)
    _check_destination(spec, destination)
    options = _mode_options(mode)
    if source.startswith("cache:"):
        point = MountPoint(type="bind", source=source, destination=posixpath.normpath(destination), mode=mode, rw="ro" not in options)
        return replace(point, propagation="rprivate")
    if not source.startswith("/"):
        if options & PROPAGATIONS:
            raise _misplaced(spec, "volume", "BindOptions")
        return _volume_point(source, posixpath.normpath(destination), mode, options)
    if "nocopy" in options:
        raise _misplaced(spec, "bind", "VolumeOptions")
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
    if request.type == "image":
        return MountPoint(
            type="image",
            source="",
            name=request.source,
            destination=destination,
            rw=False,
            propagation="rprivate",
            request=request,
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


def requested(config: ContainerConfig, host: HostConfig, others: Sequence[MountPoint] = ()) -> list[MountPoint]:
    """Every mount point the user and the image ask for, in order; volumes and images still without a source.

    `others` are other containers': what the user says himself replaces them. Raises Invalid when two of his claim one destination;
    an image's VOLUME gives way to whatever else is mounted there."""
    points = [parse_bind(spec) for spec in host.binds] + [parse_mount(request) for request in host.mounts]
    for target in host.tmpfs:
        if not target.startswith("/"):
            raise Invalid(f"invalid mount path: '{target}' mount path must be absolute", reason="bad-mount")
        if posixpath.normpath(target).strip("/") == "":
            raise Invalid("invalid specification: destination can't be '/'", reason="bad-mount")
    _refuse_duplicates([*(p.destination for p in points), *(posixpath.normpath(t) for t in host.tmpfs)])
    taken = {p.destination for p in points} | {posixpath.normpath(t) for t in host.tmpfs}
    points = [*(p for p in others if p.destination not in taken), *points]
    taken |= {p.destination for p in points}
    for target in config.volumes:
        destination = posixpath.normpath(target)
        if destination == "/":
            raise Invalid("invalid volume: destination can't be '/'", reason="bad-mount")
        if destination not in taken:
            points.append(MountPoint(type="volume", source="", destination=destination, anonymous=True))
    return points


def with_images(points: Iterable[MountPoint], layers_of: Callable[[str], Sequence[DiffId]], place: str) -> list[MountPoint]:
    """The points with each image's layers; `place` is the directory in which they will be mounted. Raises what `layers_of` raises."""
    found = list(points)
    for number, point in enumerate(found):
        if point.type == "image":
            layers = point.layers or tuple(layers_of(point.name))
            found[number] = replace(point, layers=layers, source=os.path.join(place, str(number)))
    return found


async def with_volumes(
    points: Iterable[MountPoint], volumes: ContainerVolumes, *, user: ContainerId, layers: Sequence[DiffId], driver: str = ""
) -> tuple[MountPoint, ...]:
    """The points with each volume made (by `driver`, unless it says another), filled from the image and held for `user`."""
    found: list[MountPoint] = []
    for point in points:
        if point.type != "volume":
            found.append(point)
            continue
        is_borrowed = bool(point.source)
        wanted = point.request or MountRequest(type="volume", target=point.destination, driver="" if is_borrowed else driver)
        request = replace(wanted, source=point.name, no_copy=wanted.no_copy or is_borrowed or "nocopy" in point.mode.split(","))
        volume = await volumes.ensure(request, user=user, layers=layers)
        found.append(replace(point, source=volume.source, name=volume.name, driver=volume.driver, anonymous=volume.anonymous))
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
    if match := _CACHE.fullmatch(spec):  # Docker has no such form: it takes the id for a destination that is not absolute
        return match[1], match[2], match[3] or ""
    parts = spec.split(":")
    is_moded_volume = len(parts) == 2 and not parts[1].startswith("/") and _is_mode(parts[1])  # an anonymous volume takes no mode
    if len(parts) > 3 or "" in parts[:2] or is_moded_volume:
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


def _is_mode(text: str) -> bool:
    try:
        return bool(_mode_options(text))
    except Invalid:
        return False


def _mode_options(mode: str) -> frozenset[str]:
    """The options of `-v`'s third part: each known, and at most one of a kind."""
    options = mode.split(",") if mode else []
    kinds: tuple[frozenset[str], ...] = (frozenset(("ro", "rw")), PROPAGATIONS, _CONSISTENCIES, LABEL_MODES, frozenset(("nocopy",)))
    for option in options:
        if not any(option in kind for kind in kinds):
            raise Invalid(f"invalid mode: {mode}", reason="bad-mount")
    if any(sum(option in kind for option in options) > 1 for kind in kinds):
        raise Invalid(f"invalid mode: {mode}", reason="bad-mount")
    return frozenset(options)


def _misplaced(spec: str, kind: str, options: str) -> Invalid:
    text = f"invalid volume specification: '{spec}': invalid mount config for type \"{kind}\": field {options} must not be specified"
    return Invalid(text, reason="bad-mount")


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


def _request_problem(request: MountRequest) -> str:
    if request.type not in ("bind", "volume", "tmpfs", "image"):
        return "mount type unknown"
    if not request.target:
        return "field Target must not be empty"
    if not request.target.startswith("/"):
        return f"invalid mount path: '{request.target}' mount path must be absolute"
    if posixpath.normpath(request.target) == "/":
        return "invalid specification: destination can't be '/'"
    problems = {"bind": _bind_problem, "volume": _volume_problem, "image": _image_problem, "tmpfs": _tmpfs_problem}
    return problems[request.type](request)


def _tmpfs_problem(request: MountRequest) -> str:
    if request.source:
        return "field Source must not be specified"
    try:
        tmpfs_options(request_text(request))
    except Invalid as error:
        return error.message
    return ""


def _volume_problem(request: MountRequest) -> str:
    if request.subpath and not request.source:
        return "must not set Subpath when using anonymous volumes"
    return _subpath_problem(request.subpath)


def _image_problem(request: MountRequest) -> str:
    return _subpath_problem(request.subpath) if request.source else "field Source must not be empty"


def _subpath_problem(subpath: str) -> str:
    clean = posixpath.normpath(subpath)
    if clean.startswith(("/", "../")) or clean == "..":
        return "subpath must be a relative path within the volume"
    return ""


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


def held_images(container: Container) -> Iterator[tuple[str, tuple[DiffId, ...]]]:
    """(snapshot key, layers) of each."""
    for number, point in enumerate(container.mounts):
        if point.type == "image":
            yield f"{container.id}-{number}", point.layers


def owner_of(key: str) -> str:
    """The id of the container to which a snapshot belongs, its own or one of a mounted image; "" for others' (builds)."""
    container_id, _, number = key.partition("-")
    return container_id if is_hex64(container_id) and (number.isdecimal() or not number) else ""


def volumes_from(specs: Sequence[str], find: Find) -> list[MountPoint]:
    """The mount points that `specs` (`container[:ro|rw]`) bring in; where two bring one destination the later counts.

    Raises Invalid in Docker's words.
    """
    found: dict[str, MountPoint] = {}
    for spec in specs:
        name, is_writable = _parse_volumes_from(spec)
        for point in _find_source(find, name).mounts:
            found[point.destination] = replace(point, mode="", rw=point.rw and is_writable)
    return list(found.values())


def _parse_volumes_from(spec: str) -> tuple[str, bool]:
    if not spec:
        raise Invalid("volumes-from specification cannot be an empty string", reason="bad-volumes-from")
    name, _, mode = spec.partition(":")
    words = mode.split(",") if mode else []
    kinds = (frozenset(("ro", "rw")), LABEL_MODES)
    is_known = all(any(word in kind for kind in kinds) for word in words)
    if not is_known or any(sum(word in kind for word in words) > 1 for kind in kinds):
        raise Invalid(f"invalid mode: {mode}", reason="bad-volumes-from", hint="container, container:ro or container:rw")
    return name, "ro" not in words


def _find_source(find: Find, name: str) -> Container:
    try:
        return find(name)
    except NotFound as error:
        raise Invalid(error.message, reason=error.reason) from error
