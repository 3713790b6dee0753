"""Volumes as users name them: made on demand, filled from an image once, held by containers, removed only when nobody needs them."""

import asyncio
import errno
import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from corten.engine.containers import mounts
from corten.engine.events import Events
from corten.engine.filters import has_labels
from corten.engine.localdriver import NAME as DRIVER
from corten.engine.localdriver import check_options, is_lasting_kind, is_mounted_kind, mount_volume, unmount_volume
from corten.engine.models import ModelRecords
from corten.engine.protection import Protection
from corten.engine.space import SpaceReclaimer
from corten.engine.values.container import MountRequest
from corten.errors import Conflict, EngineError, Invalid, NotFound, Unavailable
from corten.ids import ContainerId, DiffId, random_hex64
from corten.kernel.openat2 import RESOLVE_IN_ROOT, openat2
from corten.store.layers import Layers
from corten.store.opened import Store
from corten.store.records.uses import Uses
from corten.store.trashbin.bin import UNKNOWN, Entry
from corten.store.trashbin.volumes import VolumeBin
from corten.store.view import opened_view
from corten.store.volumes import ANONYMOUS_LABEL, Volume
from corten.store.volumes import Volumes as VolumeStore

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class VolumeRemoval:
    """Belongs to the event loop; microseconds, whatever the volume holds."""

    def __init__(
        self, store: Store, volumes: VolumeStore, bin: VolumeBin, protection: Protection, models: ModelRecords, uses: Uses
    ) -> None:
        self._store = store
        self._volumes = volumes
        self._bin = bin
        self._protection = protection
        self._models = models
        self._uses = uses

    def is_protected(self, volume: Volume) -> bool:
        return self._protection.covers(volume.name, volume.labels)

    def check(self, volume: Volume) -> None:
        """Raises Conflict when it is protected."""
        self._protection.check(volume.name, volume.labels)

    def remove(self, name: str, *, size: int = UNKNOWN, for_good: bool = False) -> None:
        """`size`: what it holds, if somebody has measured. Raises NotFound, and Conflict in Docker's words while somebody uses it."""
        volume = self._volumes.get(name)
        if volume.users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(volume.users)}]", reason="volume-in-use")
        if for_good or not self._store.bin.keep:
            self._volumes.remove(name)
            self._forget(name)
            return
        extra = {"protected": self._protection.setting(name), "used": self._uses.find("volume", name)}
        entry = self._bin.put(name, size=size, extra=extra, along=partial(self._forget, name))
        if size == UNKNOWN:
            self._store.background.submit(partial(_measure, self._bin, entry))

    def _forget(self, name: str) -> None:
        """Another volume of that name starts anew."""
        self._protection.forget(name)
        self._models.forget(name)
        self._uses.forget("volume", name)


def _measure(bin: VolumeBin, entry: Entry) -> None:
    bin.measure(entry)


class Volumes:
    """Belongs to the event loop; file work goes to threads."""

    def __init__(self, store: VolumeStore, layers: Layers, events: Events, removal: VolumeRemoval, space: SpaceReclaimer) -> None:
        self._store = store
        self._removal = removal
        self._layers = layers
        self._events = events
        self._space = space
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by volume: one mounts or fills it at a time
        self._overdue: set[ContainerId] = set()  # gone, and a full disk refused to note that they hold nothing any more
        self._active: defaultdict[str, set[str]] = defaultdict(set)  # mounted volumes: the running containers that need them

    async def create(
        self, name: str = "", *, driver: str = "", options: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
    ) -> Volume:
        """The volume of that name, made if it is not there; an anonymous one for "". Raises Invalid and NotFound in Docker's words."""
        return await self._space.retry(lambda: self._create(name, driver, options or {}, labels or {}))

    async def _create(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Volume:
        labels = dict(labels)
        if not name:
            name = random_hex64()
            labels[ANONYMOUS_LABEL] = ""
        _check_name(name)
        if driver not in ("", "default", DRIVER):
            text = f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found'
            raise NotFound(
                text, reason="no-volume-driver", hint="the driver is local; mounts of other kinds go by its options type, o, device"
            )
        check_options(name, options)
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
        self._let_go()
        return [v for v in self._store.all() if _matches(v, filters)]

    async def remove(
        self, name: str, *, force: bool = False, force_protected: bool = False, for_good: bool = False, size: int = UNKNOWN
    ) -> None:
        """Into the trash, or `for_good`. `size`: bytes that it holds, if somebody has measured.

        Raises Conflict while a container uses it and when it is protected, NotFound unless `force`."""
        self._let_go()
        volume = self._store.find(name)
        if volume is None and force:
            return
        if volume is not None and not volume.users and not force_protected:
            self._removal.check(volume)
        if volume is not None and not volume.users:
            unmount_volume(self.mountpoint(volume))  # or its removal would empty what is mounted there
            for_good = for_good or not os.path.isdir(os.path.dirname(self.mountpoint(volume)))  # of one that is gone nothing is kept
        self._removal.remove(name, size=size, for_good=for_good)
        self._locks.pop(name, None)
        self._events.publish("volume", "destroy", name, {"driver": DRIVER})

    async def ensure(self, request: MountRequest, *, user: ContainerId, layers: Sequence[DiffId] = ()) -> mounts.MountedVolume:
        """The volume that `request` names, held by `user`; an empty one is filled from the image of `layers` at the target."""
        volume = await self._create(request.source, request.driver, request.driver_options or {}, request.labels or {})
        self._store.hold(volume.name, user)
        if layers and not request.no_copy and is_lasting_kind(volume.options):
            async with self._locks[volume.name]:
                await asyncio.to_thread(self._fill_once, volume, user, layers, request.target)
        return mounts.MountedVolume(name=volume.name, source=self.mountpoint(volume), driver=DRIVER, anonymous=volume.anonymous)

    async def release(self, user: ContainerId, *, remove_anonymous: bool, for_good: bool = False) -> None:
        await self.deactivate(user)
        try:
            held = self._store.release(user)
        except Unavailable:
            self._overdue.add(user)
            return
        for volume in held:
            if remove_anonymous and volume.anonymous and not volume.users and not self._removal.is_protected(volume):
                await self.remove(volume.name, force=True, for_good=for_good)

    def _let_go(self) -> None:
        """Of what those held who are gone; on a full disk of nothing, and the next call tries again."""
        for user in tuple(self._overdue):
            try:
                self._store.release(user)
            except Unavailable:
                return
            self._overdue.discard(user)

    async def activate(self, user: ContainerId) -> None:
        """Before `user` starts: volumes with a file system of their own (bind, tmpfs, nfs, ...) are mounted if they are not.

        Raises EngineError in Docker's words when that fails.
        """
        for volume in self._store.held_by(user):
            if is_mounted_kind(volume.options):
                async with self._locks[volume.name]:
                    await asyncio.to_thread(mount_volume, volume.options, self.mountpoint(volume))
                    self._active[volume.name].add(user)

    async def deactivate(self, user: ContainerId) -> None:
        """`user` has ended: what no other running container needs is unmounted."""
        for name in [name for name, users in self._active.items() if user in users]:
            async with self._locks[name]:
                self._active[name].discard(user)
                if not self._active[name]:
                    del self._active[name]
                    unmount_volume(self._store.data(name))

    def recover(self, containers: Collection[ContainerId], running: Collection[ContainerId] = ()) -> None:
        """At start: mounts that no container of `running` needs go, then what belongs to no container of `containers`."""
        for volume in self._store.all():
            users = set(volume.users) & set(running)
            if is_mounted_kind(volume.options) and users:
                self._active[volume.name] = users
        for name in self._store.directories():
            if name not in self._active:
                unmount_volume(self._store.data(name))
        self._store.recover(list(containers))

    def _fill_once(self, volume: Volume, user: str, layers: Sequence[DiffId], target: str) -> None:
        with opened_view([self._layers.path(diff_id) for diff_id in reversed(layers)]) as root:
            try:
                source = openat2(root, target.lstrip("/") or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, resolve=RESOLVE_IN_ROOT)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # the image has no directory there
                    return
                raise
            try:
                self._fill(volume, user, source)
            finally:
                os.close(source)

    def _fill(self, volume: Volume, user: str, source: int) -> None:
        data = self.mountpoint(volume)
        mounted = is_mounted_kind(volume.options) and volume.name not in self._active
        if mounted:
            mount_volume(volume.options, data)
        try:
            if self._store.filling.is_empty(volume.name):
                self._store.filling.fill(volume.name, source, in_use=bool(set(self._store.get(volume.name).users) - {user}))
        except OSError as error:
            raise EngineError(f"error while looking into volume '{data}': {error}", reason="volume-unreadable") from error
        finally:
            if mounted:
                unmount_volume(data)


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


def _matches(volume: Volume, filters: Mapping[str, Collection[str]]) -> bool:
    return all(_MATCHERS[kind](volume, values) for kind, values in filters.items() if values and kind in _MATCHERS)


_MATCHERS = {
    "name": lambda v, values: any(value in v.name for value in values),
    "driver": lambda v, values: v.driver in values,
    "label": lambda v, values: has_labels(v.labels, values),
    "label!": lambda v, values: not any(has_labels(v.labels, [value]) for value in values),
    "dangling": lambda v, values: all((not v.users) == (value in ("1", "true")) for value in values),
}
