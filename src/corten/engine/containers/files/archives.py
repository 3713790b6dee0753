"""A container's files for clients: looked at, copied in and out, exported, compared with the image. Running or not makes no difference.

All file work is done in threads of their own, since a view (see `views`) changes the thread's namespaces.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TypeVar

from corten.engine.containers.files.paths import PathStat, located, path_error, stat_place
from corten.engine.containers.files.rootfs import MountPointMissing, RootMount, RootSource, opened_root, opened_root_alone
from corten.engine.containers.files.tar_copy import ExtractOptions, check_writable, extraction_point, pack_place, unpack_into
from corten.engine.containers.mount_stubs import without_own
from corten.engine.containers.root_files import RootFiles
from corten.engine.containers.staging import Staging
from corten.engine.containers.storage import ContainerStorage
from corten.engine.events import Events
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process
from corten.engine.spec.users import resolve_user
from corten.engine.usage import DiskUsage
from corten.engine.values.container import Container
from corten.errors import Invalid
from corten.store.changes import Change, snapshot_changes
from corten.store.streams.loops import Outlet, drawn, in_thread, with_body
from corten.store.streams.threads import Chunk
from corten.store.tar.pack import pack_root

T = TypeVar("T")


class ContainerFiles:
    def __init__(
        self,
        catalog: ContainerCatalog,
        storage: ContainerStorage,
        staging: Staging,
        root_files: RootFiles,
        events: Events,
        figures: DiskUsage,
    ) -> None:
        self._catalog = catalog
        self._figures = figures
        self._storage = storage
        self._staging = staging
        self._root_files = root_files
        self._events = events

    async def stat(self, ref: str, path: str) -> PathStat:
        """What is at `path`. Raises NotFound, Invalid."""
        entry = self._entry(ref, path)

        def work(root: int) -> PathStat:
            with _explained(path, ref), located(root, path) as place:
                return stat_place(root, place, path)

        async with self._standing(entry) as source:
            return await in_thread(lambda: _in_root(source, work))

    async def copy_out(self, ref: str, path: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """What is at `path`, and it as a tar. Raises NotFound, Invalid before anything is sent. The iterator must be closed."""
        entry = self._entry(ref, path)
        stats: list[PathStat] = []

        def work(root: int, outlet: Outlet) -> None:
            with _explained(path, ref), located(root, path) as place:
                stats.append(stat_place(root, place, path))
                outlet.put(b"")  # from here on the answer's head can leave
                pack_place(place, outlet.put)

        stream = self._streamed(entry, lambda source, outlet: _in_root(source, lambda root: work(root, outlet)))
        await anext(stream)
        self._events.container(entry.value, "archive-path")
        return stats[0], stream

    async def copy_in(self, ref: str, path: str, body: AsyncIterator[bytes], *, keeps_kinds: bool, owned: bool) -> None:
        """The archive in `body` into the directory `path`. `keeps_kinds`: a directory and something else do not replace each other.

        `owned`: everything belongs to the container's user. Raises NotFound, Invalid, Unavailable when the disk is full.
        """
        entry = self._entry(ref, path)
        incoming = ExtractOptions(keeps_kinds, self._owner(entry.value) if owned else None)
        is_fixed = entry.value.host.readonly_rootfs

        def work(root: int, chunks: Iterator[Chunk]) -> None:
            with _explained(path, ref), extraction_point(root, path) as folder:
                if is_fixed and os.fstat(folder).st_dev == os.fstat(root).st_dev:
                    raise Invalid("container rootfs is marked read-only", reason="read-only")
                check_writable(root, folder)
                unpack_into(folder, path, incoming, chunks)

        async with self._standing(entry) as source:
            try:
                await with_body(body, lambda chunks: _in_writable_root(source, lambda root: work(root, chunks)))
            finally:
                self._figures.touched(entry.value)
        self._events.container(entry.value, "extract-to-dir")

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """The container's own files, without what is mounted in it, as a tar. The iterator must be closed."""
        entry = self._catalog.get(ref)

        def work(source: RootSource, outlet: Outlet) -> None:
            with opened_root_alone(source) as root:
                outlet.put(b"")
                pack_root(root, outlet.put)

        stream = self._streamed(entry, work, mounts=False)
        await anext(stream)
        self._events.container(entry.value, "export")
        return stream

    async def changes(self, ref: str) -> list[Change]:
        """What differs from the image, sorted by path."""
        container = self._catalog.get(ref).value
        found = await asyncio.to_thread(snapshot_changes, self._storage.snapshots, self._storage.layers, container.id)
        return without_own(found)

    async def _streamed(
        self, entry: ContainerEntry, work: Callable[[RootSource, Outlet], None], *, mounts: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """What `work` puts out; the first piece is empty and says that all is well so far."""
        async with self._standing(entry, mounts=mounts) as source, aclosing(drawn(lambda outlet: work(source, outlet))) as pieces:
            async for piece in pieces:
                yield piece

    def _entry(self, ref: str, path: str) -> ContainerEntry:
        entry = self._catalog.get(ref)
        if not path:
            raise Invalid("bad parameter: path cannot be empty", reason="no-path")
        return entry

    def _owner(self, container: Container) -> tuple[int, int] | None:
        """The user that the container runs as; nobody in particular when none was said."""
        if not container.config.user:
            return None
        reader = self._root_files.reader_of_process(container.state.pid) if container.state.pid else self._root_files.reader(container)
        user = resolve_user(container.config.user, reader("/etc/passwd"), reader("/etc/group"))
        return user.uid, user.gid

    @asynccontextmanager
    async def _standing(self, entry: ContainerEntry, *, mounts: bool = True) -> AsyncIterator[RootSource]:
        """What the root is made of, for as long as the block lasts: a container that does not run cannot be started meanwhile."""
        container = entry.value
        if has_process(container.state):
            yield self._ground(container, self._staging.staged(container) if mounts else None)
            return
        if entry.cleanup is not None:
            await asyncio.wait([entry.cleanup])
        async with entry.lock:
            container = entry.value
            self._catalog.check_present(entry, container.name)
            if has_process(container.state):
                yield self._ground(container, self._staging.staged(container) if mounts else None)
                return
            if not mounts:
                yield self._ground(container, None)
                return
            try:
                await self._storage.volumes.activate(container.id)
                yield self._ground(container, await self._staging.stage(container))
            finally:
                self._staging.unstage(container.id)
                await self._storage.volumes.deactivate(container.id)

    def _ground(self, container: Container, staged: dict[str, str] | None) -> RootSource:
        """`staged` None: without mounts."""
        storage = self._storage
        os.makedirs(storage.paths.mounts, mode=0o700, exist_ok=True)
        snapshot = storage.snapshots.get(container.id)
        below = [storage.layers.path(diff_id) for diff_id in reversed(snapshot.layers)] or [storage.layers.empty_path()]
        running = has_process(container.state)
        source = RootSource(
            place=storage.paths.mounts,
            pid=container.state.pid if running else 0,
            layers=[storage.snapshots.upper(container.id), *below],
            options=() if running else storage.snapshots.mounts(container.id)[0]["options"],
        )
        return source if staged is None else replace(source, attached=[*self._attached(container, staged)])

    def _attached(self, container: Container, staged: dict[str, str]) -> Iterator[RootMount]:
        folder = self._storage.paths.container(container.id)
        taken = {point.destination for point in container.mounts}
        for point in container.mounts:
            if point.type != "tmpfs":
                yield RootMount(staged.get(point.destination, point.source), point.destination, point.rw)
        for name in ("hostname", "hosts", "resolv.conf"):
            source = os.path.join(folder, name)
            if f"/etc/{name}" not in taken and os.path.exists(source):
                yield RootMount(source, f"/etc/{name}", not container.host.readonly_rootfs)


def _in_root(source: RootSource, work: Callable[[int], T]) -> T:
    """`work` on the root, which is only read. Where a mount point is missing it is made, as Docker does."""
    try:
        with opened_root(source, writable=False) as root:
            return work(root)
    except MountPointMissing:
        return _in_writable_root(source, work)


def _in_writable_root(source: RootSource, work: Callable[[int], T]) -> T:
    with opened_root(source, writable=True) as root:
        return work(root)


@contextmanager
def _explained(path: str, container: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise path_error(error, path, container) from error
