"""Volumes as users name them: made on demand, filled from an image once, held by containers, removed only when nobody needs them."""

import asyncio
import os
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from corten.engine.containers import mounts
from corten.engine.events import Events
from corten.engine.values.container import MountRequest
from corten.errors import EngineError, Invalid, NotFound
from corten.ids import ContainerId, DiffId, random_hex64
from corten.kernel.mount import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, mount, umount2
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2
from corten.store.layers import Layers
from corten.store.view import opened_view
from corten.store.volumes import ANONYMOUS_LABEL, Volume
from corten.store.volumes import Volumes as VolumeStore

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_OPTIONS = frozenset({"type", "o", "device", "size"})
_MOUNT_FLAGS = {"ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC}
_MNT_DETACH = 2
DRIVER = "local"


@dataclass(frozen=True, slots=True)
class Pruned:
    names: tuple[str, ...]
    reclaimed: int  # bytes


class Volumes:
    """Belongs to the event loop; file work goes to threads."""

    def __init__(self, store: VolumeStore, layers: Layers, events: Events) -> None:
        self._store = store
        self._layers = layers
        self._events = events
        self._filling = asyncio.Lock()

    async def create(
        self, name: str = "", *, driver: str = "", options: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
    ) -> Volume:
        """The volume of that name, made if it is not there; an anonymous one for "". Raises Invalid and NotFound in Docker's words."""
        options = options or {}
        labels = dict(labels or {})
        if not name:
            name = random_hex64()
            labels[ANONYMOUS_LABEL] = ""
        _check_name(name)
        if driver not in ("", "default", DRIVER):
            text = f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found'
            raise NotFound(
                text, reason="no-volume-driver", hint="the driver is local; mounts of other kinds go by its options type, o, device"
            )
        _check_options(name, options)
        volume, is_new = self._store.create(name, options=options, labels=labels)
        if is_new:
            self._events.publish("volume", "create", name, {"driver": DRIVER})
        return volume

    def get(self, name: str) -> Volume:
        return self._store.get(name)

    def mountpoint(self, volume: Volume) -> str:
        return self._store.data(volume.name)

    def list(self, filters: Mapping[str, Collection[str]]) -> list[Volume]:
        """Oldest first. Filters: `name` (part of it), `driver`, `label` (`key` or `key=value`), `dangling` (true or false)."""
        return [v for v in self._store.all() if _matches(v, filters)]

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Raises Conflict while a container uses it, NotFound unless `force`."""
        if self._store.find(name) is None and force:
            return
        self._store.remove(name)
        self._events.publish("volume", "destroy", name, {"driver": DRIVER})

    async def prune(self, filters: Mapping[str, Collection[str]], *, everything: bool) -> Pruned:
        """Removes what no container uses: anonymous volumes, or all of them. Filters: `label`, `label!`."""
        removed, reclaimed = [], 0
        for volume in self._store.all():
            if volume.users or not (everything or volume.anonymous) or not _matches(volume, filters):
                continue
            usage = await asyncio.to_thread(self._store.usage, volume.name)
            try:
                await self.remove(volume.name)
            except EngineError:
                continue  # taken or gone while we measured
            removed.append(volume.name)
            reclaimed += usage.size
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return Pruned(tuple(removed), reclaimed)

    async def usage(self, name: str) -> int:
        """Bytes that it holds."""
        return (await asyncio.to_thread(self._store.usage, name)).size

    async def ensure(self, request: MountRequest, *, user: ContainerId, layers: Sequence[DiffId] = ()) -> mounts.Volume:
        """The volume that `request` names, held by `user`; an empty one is filled from the image of `layers` at the target."""
        volume = await self.create(request.source, driver=request.driver, options=request.driver_options, labels=request.labels)
        self._store.hold(volume.name, user)
        if layers and not request.no_copy and not volume.options:
            async with self._filling:
                await asyncio.to_thread(self._fill_once, volume.name, user, layers, request.target)
        source = self._source(volume)
        if request.subpath:
            source = await asyncio.to_thread(_subpath, source, request.subpath)
        return mounts.Volume(name=volume.name, source=source, driver=DRIVER, anonymous=volume.anonymous)

    async def release(self, user: ContainerId, *, remove_anonymous: bool) -> None:
        for volume in self._store.release(user):
            if remove_anonymous and volume.anonymous and not volume.users:
                await self.remove(volume.name, force=True)

    async def activate(self, user: ContainerId) -> None:
        """Before `user` starts: volumes with a file system of their own (tmpfs, nfs, ...) are mounted if they are not.

        Raises EngineError in Docker's words when that fails.
        """
        for volume in self._store.all():
            if user in volume.users and _is_mounted_kind(volume.options):
                await asyncio.to_thread(_mount_volume, volume, self._store.data(volume.name))

    def deactivate(self, running: Collection[ContainerId]) -> None:
        """Unmounts what no container of `running` uses."""
        for volume in self._store.all():
            target = self._store.data(volume.name)
            if _is_mounted_kind(volume.options) and not set(volume.users) & set(running) and os.path.ismount(target):
                umount2(target, _MNT_DETACH)

    def recover(self, containers: Collection[ContainerId]) -> None:
        self._store.recover(list(containers))

    def _source(self, volume: Volume) -> str:
        device = volume.options.get("device", "")
        return device if _is_bind(volume.options) else self._store.data(volume.name)

    def _fill_once(self, name: str, user: str, layers: Sequence[DiffId], target: str) -> None:
        others = set(self._store.get(name).users) - {user}
        if others or not self._store.is_empty(name):
            return
        stack = [self._layers.path(diff_id) for diff_id in reversed(layers)]
        with opened_view(stack) as root:
            try:
                source = openat2(root, target.lstrip("/") or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
            except (FileNotFoundError, NotADirectoryError):
                return
            try:
                self._store.fill(name, source)
            finally:
                os.close(source)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. '
            "If you intended to pass a host directory, use absolute path",
            reason="bad-volume-name",
        )
    if len(name) == 1:
        raise Invalid(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters", reason="bad-volume-name"
        )
    if len(name) > 255:
        raise Invalid(f"create {name[:32]}…: volume name is longer than 255 characters", reason="bad-volume-name")


def _check_options(name: str, options: Mapping[str, str]) -> None:
    for key in options:
        if key not in _OPTIONS:
            raise Invalid(f'create {name}: invalid option: "{key}"', reason="bad-volume-option", hint="known: type, o, device, size")
    if options.get("type") and not options.get("device"):
        raise Invalid(f'create {name}: missing required option: "device"', reason="bad-volume-option")
    if options.get("size"):
        raise Invalid(
            f"create {name}: quota size requested but no quota support", reason="no-quota", hint="limit it with a file system of its own"
        )


def _is_bind(options: Mapping[str, str]) -> bool:
    return bool({"bind", "rbind"} & set(options.get("o", "").split(",")))


def _is_mounted_kind(options: Mapping[str, str]) -> bool:
    return bool(options.get("device")) and not _is_bind(options)


def _mount_volume(volume: Volume, target: str) -> None:
    if os.path.ismount(target):
        return
    flags, data = 0, []
    for option in filter(None, volume.options.get("o", "").split(",")):
        if option in _MOUNT_FLAGS:
            flags |= _MOUNT_FLAGS[option]
        else:
            data.append(option)
    device, kind = volume.options["device"], volume.options.get("type", "")
    try:
        mount(device, target, kind, flags, ",".join(data) or None)
    except OSError as error:
        text = f"failed to mount local volume: mount {device}:{target}, data: {','.join(data)}: {(error.strerror or '').lower()}"
        raise EngineError(f"error while mounting volume '{target}': {text}", reason="volume-mount") from error


def _subpath(source: str, subpath: str) -> str:
    """The host path of `subpath` inside the volume; a link may not lead out of it."""
    clean = posixpath.normpath(subpath)
    if clean.startswith(("/", "../")) or clean == "..":
        raise Invalid(f"subpath must be a relative path within the volume: {subpath!r}", reason="bad-subpath")
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = openat2(root, clean, os.O_PATH | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
    except OSError as error:
        text = f"cannot access path {source}/{clean}: {(error.strerror or '').lower()}"
        raise EngineError(text, reason="volume-subpath", hint="make it in the volume first") from error
    finally:
        os.close(root)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _matches(volume: Volume, filters: Mapping[str, Collection[str]]) -> bool:
    return all(_MATCHERS[kind](volume, values) for kind, values in filters.items() if values and kind in _MATCHERS)


def _has_labels(labels: Mapping[str, str], wanted: Collection[str]) -> bool:
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


_MATCHERS = {
    "name": lambda v, values: any(value in v.name for value in values),
    "driver": lambda v, values: v.driver in values,
    "label": lambda v, values: _has_labels(v.labels, values),
    "label!": lambda v, values: not any(_has_labels(v.labels, [value]) for value in values),
    "dangling": lambda v, values: all((not v.users) == (value in ("1", "true")) for value in values),
}
