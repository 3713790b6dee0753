"""All containers this engine knows: rows in the metadata database, and the same as values in memory.

The row is the truth and is written first; the value in memory serves every read. A container's row has two halves: `body`,
written at create, rename and update, and `live`, small, written whenever its state or endpoints change.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from corten.engine.records.waiters import Waiters
from corten.engine.values.container import Container, Endpoint, PortBinding, State
from corten.engine.values.links import links_of
from corten.errors import Conflict, Invalid, NotFound
from corten.ids import ContainerId
from corten.store.db import Database, Migration

MIGRATIONS = (
    Migration(
        "containers",
        1,
        (
            "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, body BLOB NOT NULL,"
            " live BLOB NOT NULL) WITHOUT ROWID",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class LiveState:
    """The half of a container that changes as it runs."""

    state: State
    endpoints: dict[str, Endpoint]
    ports: dict[str, tuple[PortBinding, ...]]


@dataclass(slots=True, eq=False)
class ContainerEntry:
    """A container and what belongs to it in this process.

    `lock` is held by whatever changes the container (start, the handling of its end, remove, rename, update), never while
    waiting for its process to end. `prepared`: the monitor holds stdio for the next start. `held`: a user's restart is under way, so
    its end neither removes it nor starts it again. `restart` waits for an automatic restart, `pause` is its last wait in seconds;
    `cleanup` gives back what the last run left.
    """

    value: Container
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiters: Waiters = field(default_factory=Waiters)
    restart: asyncio.Task[None] | None = None
    cleanup: asyncio.Task[None] | None = None
    prepared: bool = False
    held: bool = False
    pause: float = 0.0

    @property
    def id(self) -> ContainerId:
        return self.value.id

    @property
    def state(self) -> State:
        return self.value.state


_encode = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(Container).decode
_decode_live = msgspec.json.Decoder(LiveState).decode


class ContainerCatalog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[str, ContainerEntry] = {}
        self._ids_by_name: dict[str, ContainerId] = {}
        for body, live in database.query("SELECT body, live FROM containers"):
            self._index(ContainerEntry(_restored(body, live)))

    def __iter__(self) -> Iterator[ContainerEntry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, container_id: str) -> ContainerEntry | None:
        """By full id only."""
        return self._entries.get(container_id)

    def get(self, ref: str) -> ContainerEntry:
        """By full id, name (with or without a slash), name of a link, or unambiguous id prefix, in this order as Docker does.

        Raises NotFound, or Invalid when a prefix means several containers."""
        entry = self._entries.get(ref)
        if entry is None:
            named = self._ids_by_name.get(ref.removeprefix("/"))
            entry = self._entries[named] if named else self._by_link(ref) or self._by_prefix(ref)
        if entry is None:
            raise NotFound(f"No such container: {ref}", reason="no-such-container")
        return entry

    def check_present(self, entry: ContainerEntry, ref: str) -> None:
        """Raise NotFound if the container was removed while its lock was waited for."""
        if self._entries.get(entry.id) is not entry:
            raise NotFound(f"No such container: {ref}", reason="no-such-container")

    def name_owner(self, name: str) -> ContainerId | None:
        return self._ids_by_name.get(name)

    def is_taken(self, name: str) -> bool:
        return name in self._ids_by_name

    def add(self, container: Container) -> ContainerEntry:
        """Store a new container; raises Conflict when its name is taken."""
        owner = self._ids_by_name.get(container.name)
        if owner:
            raise name_in_use(container.name, owner)
        body, live = _split(container)
        self._database.execute(
            "INSERT INTO containers VALUES (?, ?, ?, ?, ?)", (container.id, container.name, container.created, body, live)
        )
        entry = ContainerEntry(container)
        self._database.when_committed(partial(self._index, entry))
        return entry

    def replace(self, entry: ContainerEntry, container: Container) -> None:
        """Store another body (configuration, name) of the same container; raises Conflict when a new name is taken."""
        old = entry.value.name
        if container.name != old and (owner := self._ids_by_name.get(container.name)):
            raise name_in_use(container.name, owner)
        body, live = _split(container)
        self._database.execute(
            "UPDATE containers SET name = ?, body = ?, live = ? WHERE id = ?", (container.name, body, live, container.id)
        )
        entry.value = container
        if container.name != old:
            del self._ids_by_name[old]
            self._ids_by_name[container.name] = container.id

    def set_live(
        self,
        entry: ContainerEntry,
        *,
        state: State | None = None,
        endpoints: dict[str, Endpoint] | None = None,
        ports: dict[str, tuple[PortBinding, ...]] | None = None,
    ) -> None:
        """Store what changed while it runs; what is not given stays."""
        value = entry.value
        live = LiveState(
            value.state if state is None else state,
            value.endpoints if endpoints is None else endpoints,
            value.ports if ports is None else ports,
        )
        self._database.execute("UPDATE containers SET live = ? WHERE id = ?", (_encode(live), value.id))
        entry.value = replace(value, state=live.state, endpoints=live.endpoints, ports=live.ports)

    def remove(self, entry: ContainerEntry) -> None:
        self._database.execute("DELETE FROM containers WHERE id = ?", (entry.id,))
        self._database.when_committed(partial(self._unindex, entry))

    def _index(self, entry: ContainerEntry) -> None:
        self._entries[entry.id] = entry
        self._ids_by_name[entry.value.name] = entry.id

    def _unindex(self, entry: ContainerEntry) -> None:
        del self._entries[entry.id]
        del self._ids_by_name[entry.value.name]

    def _by_link(self, ref: str) -> ContainerEntry | None:
        """`web/db`: what the container `web` calls `db`."""
        owner, slash, alias = ref.removeprefix("/").partition("/")
        if not slash or owner not in self._ids_by_name:
            return None
        links = links_of(self._entries[self._ids_by_name[owner]].value.host)
        return next((self._entries.get(link.target) for link in links if link.alias == alias), None)

    def _by_prefix(self, prefix: str) -> ContainerEntry | None:
        if not prefix:
            return None
        found = [entry for key, entry in self._entries.items() if key.startswith(prefix)]
        if len(found) > 1:
            raise Invalid(f"multiple IDs found with provided prefix: {prefix}", reason="ambiguous-prefix")
        return found[0] if found else None


def _split(container: Container) -> tuple[bytes, bytes]:
    body = replace(container, state=State(), endpoints={}, ports={})
    return _encode(body), _encode(LiveState(container.state, container.endpoints, container.ports))


def _restored(body: bytes, live: bytes) -> Container:
    changing = _decode_live(live)
    return replace(_decode_body(body), state=changing.state, endpoints=changing.endpoints, ports=changing.ports)


def name_in_use(name: str, owner: ContainerId) -> Conflict:
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
        "You have to remove (or rename) that container to be able to reuse that name.",
        reason="name-in-use",
    )
