"""All networks this engine knows: rows in the metadata database and the same as values in memory. The row is written first."""

from collections.abc import Iterator

import msgspec

from corten.engine.networks.network import Network
from corten.errors import Invalid, NotFound
from corten.ids import NetworkId
from corten.store.db import Database, Migration

MIGRATIONS = (
    Migration(
        "networks",
        1,
        ("CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",),
    ),
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Network).decode


class NetworkCatalog:
    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.query("SELECT body FROM networks ORDER BY created")
        self._networks: dict[str, Network] = {network.id: network for (body,) in rows for network in [_decode(body)]}

    def __iter__(self) -> Iterator[Network]:
        return iter(list(self._networks.values()))

    def by_id(self, network_id: str) -> Network | None:
        """By full id only."""
        return self._networks.get(network_id)

    def find(self, ref: str) -> Network | None:
        """By full id, name, or id prefix, in this order as Docker does. Raises Invalid when a prefix means several networks."""
        if ref in self._networks:
            return self._networks[ref]
        for network in self._networks.values():
            if network.name == ref:
                return network
        found = [network for network in self._networks.values() if ref and network.id.startswith(ref)]
        if len(found) > 1:
            raise Invalid(f"network {ref} is ambiguous ({len(found)} matches found based on ID prefix)", reason="ambiguous-network")
        return found[0] if found else None

    def get(self, ref: str) -> Network:
        found = self.find(ref)
        if found is None:
            raise NotFound(f"network {ref} not found", reason="no-such-network")
        return found

    def put(self, network: Network) -> None:
        """Store a new network, or the new value of one."""
        self._database.execute(
            "INSERT OR REPLACE INTO networks VALUES (?, ?, ?, ?)", (network.id, network.name, network.created, _encode(network))
        )
        self._networks[network.id] = network

    def remove(self, network_id: NetworkId) -> None:
        self._database.execute("DELETE FROM networks WHERE id = ?", (network_id,))
        self._networks.pop(network_id, None)
