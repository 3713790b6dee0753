"""Networks and their addresses against a model: any sequence of creating, removing, starting, connecting, stopping and restarting."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corten.engine.networks.network import IpamPool, NetworkRequest, NetworkSettings
from corten.engine.values.container import Container, Endpoint, EndpointConfig
from corten.errors import Denied, EngineError, Invalid, NotFound, Unavailable
from tests.unit.engine.conftest import _IN_MEMORY
from tests.unit.engine.test_networks import Ground, asked, container

POOLS = NetworkSettings(address_pools=(("10.128.0.0/27", 29),))
"""Four subnets of five addresses each beside the gateway's; the default bridge takes the first."""
OWN = (
    IpamPool(subnet="10.9.0.0/29"),
    IpamPool(subnet="10.9.0.0/28", ip_range="10.9.0.8/30", gateway="10.9.0.9", aux_addresses={"router": "10.9.0.10"}),
    IpamPool(subnet="10.9.0.16/30"),
    IpamPool(subnet="10.9.0.32/31", gateway="10.9.0.33"),
)
NAMES = st.sampled_from(["n1", "n2", "n3", "n4"])
WORKERS = [f"worker{number}" for number in range(8)]
OFFSETS = st.sampled_from([None, None, None, 2, 3, 3, 8, 9, 10, 11, 11, -1, 0, 1, 7, 15, 16])
KINDS = ["start"] * 8 + ["stop"] * 5 + ["connect"] * 4 + ["disconnect"] * 3 + ["create", "create", "remove", "restart"]


@dataclass
class Known:
    """A network of the model: what is held by whom, and what nobody may have."""

    subnet: IPv4Network
    within: IPv4Network
    reserved: set[IPv4Address]
    asked_for: bool
    held: dict[str, IPv4Address] = field(default_factory=dict)

    @property
    def free(self) -> set[IPv4Address]:
        return set(self.within) - self.reserved - set(self.held.values())


class Addresses(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
        self.known: dict[str, Known] = {}
        self.running: dict[str, Container] = {}
        self._open()
        self.create("n1", OWN[1])
        self.create("n2", None)

    def _open(self) -> None:
        self.ground = Ground(Path(self.folder.name), POOLS)
        self.ground.fabric.host = replace(self.ground.fabric.host, routes=())
        self._do(self.ground.networks.start(list(self.running.values())))
        self.known.setdefault("bridge", self._seen("bridge", asked_for=False))

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.ground.database.close()
            self.runner.close()
            self.folder.cleanup()

    def _do(self, work: Any) -> Any:
        return self.runner.run(work)

    def _seen(self, name: str, *, asked_for: bool) -> Known:
        (pool,) = self.ground.networks.catalog.get(name).pools
        subnet = ip_network(pool.subnet)
        assert isinstance(subnet, IPv4Network)
        edges = set() if subnet.prefixlen > 30 else {subnet.network_address, subnet.broadcast_address}
        aux = {IPv4Address(text) for text in pool.aux_addresses.values()}
        within = IPv4Network(pool.ip_range) if pool.ip_range else subnet
        return Known(subnet, within, edges | aux | {IPv4Address(pool.chosen_gateway)}, asked_for)

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def act(self, data: st.DataObject, kind: str) -> None:
        """One rule for all, so that none is left out of an example and containers come more often than restarts."""
        if kind == "create":
            self.create(data.draw(NAMES), data.draw(st.sampled_from([None, *OWN])))
        elif kind == "remove":
            self.remove(data.draw(NAMES))
        elif kind == "restart":
            self.restart()
        elif kind == "start" and len(self.running) < len(WORKERS):
            self.start(data, data.draw(OFFSETS))
        elif kind == "connect" and self.running:
            self.connect(data, data.draw(OFFSETS))
        elif kind == "stop" and self.running:
            self.stop(data)
        elif kind == "disconnect" and any(len(value.endpoints) > 1 for value in self.running.values()):
            self.disconnect(data)

    def create(self, name: str, pool: IpamPool | None) -> None:
        request = NetworkRequest(name=name, pools=(pool,) if pool else ())
        taken = [known.subnet for known in self.known.values()]
        if name in self.known:
            refusal: type[EngineError] | None = EngineError
        elif pool:
            refusal = Denied if any(other.overlaps(ip_network(pool.subnet)) for other in taken) else None
        else:
            refusal = Denied if sum(subnet.subnet_of(IPv4Network("10.128.0.0/27")) for subnet in taken) == 4 else None
        if refusal is not None:
            with pytest.raises(refusal):
                self._do(self.ground.networks.create(request))
            return
        self._do(self.ground.networks.create(request))
        self.known[name] = self._seen(name, asked_for=pool is not None)
        assert not any(other.overlaps(self.known[name].subnet) for other in taken)

    def remove(self, name: str) -> None:
        known = self.known.get(name)
        if known is None or known.held:
            with pytest.raises((NotFound, Denied)):
                self._do(self.ground.networks.remove(name))
            return
        self._do(self.ground.networks.remove(name))
        del self.known[name]

    def start(self, data: st.DataObject, offset: int | None) -> None:
        worker = data.draw(st.sampled_from([worker for worker in WORKERS if worker not in self.running]))
        name = data.draw(st.sampled_from([*self.known] * 4 + ["absent"]))
        known = self.known.get(name)
        wanted = "" if offset is None else str((known.subnet if known else IPv4Network("10.9.0.0/28")).network_address + offset)
        value = asked(container(worker, name), name, ipv4_address=wanted)
        refusal = self._refusal(known, wanted)
        if refusal is not None:
            with pytest.raises(refusal):
                self._do(self.ground.networks.attach(value))
            return
        attachment = self._do(self.ground.networks.attach(value))
        self.running[worker] = replace(value, endpoints=attachment.endpoints, state=replace(value.state, pid=1))
        self._take(name, worker, attachment.endpoints[name], wanted)

    def connect(self, data: st.DataObject, offset: int | None) -> None:
        worker = data.draw(st.sampled_from(sorted(self.running)))
        value, name = self.running[worker], data.draw(st.sampled_from(sorted(self.known)))
        known = self.known[name]
        if name in value.endpoints:
            return
        wanted = "" if offset is None else str(known.subnet.network_address + offset)
        network = self.ground.networks.catalog.get(name)
        attachment = self.ground.networks.attachments.find(value.id)
        assert attachment is not None
        work = self.ground.networks.attachments.connect(attachment, network, EndpointConfig(network=name, ipv4_address=wanted))
        if wanted and ip_address(wanted) not in known.subnet:
            refusal: type[EngineError] | None = Invalid
        else:
            refusal = self._refusal(replace(known, asked_for=True), wanted)
        if refusal is not None:
            with pytest.raises(refusal):
                self._do(work)
            return
        self._do(work)
        endpoint = attachment.plans[name].endpoint
        self.running[worker] = replace(value, endpoints={**value.endpoints, name: endpoint})
        self._take(name, worker, endpoint, wanted)

    def disconnect(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([worker for worker, value in sorted(self.running.items()) if len(value.endpoints) > 1]))
        value = self.running[worker]
        name = data.draw(st.sampled_from(sorted(value.endpoints)))
        attachment = self.ground.networks.attachments.find(value.id)
        assert attachment is not None
        self._do(self.ground.networks.attachments.disconnect(attachment, name))
        self.running[worker] = replace(value, endpoints={n: e for n, e in value.endpoints.items() if n != name})
        del self.known[name].held[worker]

    def stop(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.running)))
        value = self.running.pop(worker)
        self._do(self.ground.networks.detach(value))
        self._do(self.ground.networks.detach(value))
        for known in self.known.values():
            known.held.pop(worker, None)

    def restart(self) -> None:
        """What is in memory is made anew from what was stored."""
        self.ground.database.close()
        self._open()

    def _refusal(self, known: Known | None, wanted: str) -> type[EngineError] | None:
        if known is None:
            return NotFound
        if not wanted:
            return None if known.free else Unavailable
        address = IPv4Address(wanted)
        if not known.asked_for or address not in known.subnet:
            return Invalid
        return Denied if address in known.reserved or address in known.held.values() else None

    def _take(self, name: str, worker: str, endpoint: Endpoint, wanted: str) -> None:
        known, address = self.known[name], IPv4Address(endpoint.ip_address)
        assert address == IPv4Address(wanted) if wanted else address in known.free
        known.held[worker] = address

    @invariant()
    def each_address_is_one_containers(self) -> None:
        for name, known in getattr(self, "known", {}).items():
            assert len(set(known.held.values())) == len(known.held)
            assert not set(known.held.values()) & known.reserved
            members = self.ground.networks.members(self.ground.networks.catalog.get(name))
            assert {m.name: IPv4Address(m.endpoint.ip_address) for m in members} == known.held


TestAddresses = Addresses.TestCase
TestAddresses.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
