"""Running containers on their networks: each one's namespace, endpoints, ports and names, from start to exit.

Decisions are made here (addresses, ports: quick, in the event loop), the kernel's part is the fabric's. Whatever was taken is given
back when a later step fails.
"""

import contextlib
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from corten.engine.containers.protocols import NetworkPlace
from corten.engine.networks import etc_files
from corten.engine.networks.addressing import Addressing
from corten.engine.networks.endpoint_plans import (
    EndpointPlan,
    default_givers,
    dns_names,
    link_prefix,
    plan_endpoint,
    plan_without_link,
    restored_plan,
)
from corten.engine.networks.network import OPTION_ICC, Network, NetworkSettings
from corten.engine.networks.published_ports import (
    host_addresses,
    link_rules,
    port_rules,
    proxied,
    proxy_target,
    publish_requests,
    published_by,
    shown_ports,
    target_of,
)
from corten.engine.values.container import Container, EndpointConfig, PortBinding
from corten.engine.values.links import links_of
from corten.errors import EngineError
from corten.network.fabric import Fabric, Sandbox
from corten.network.ports import HeldPort, PortTable
from corten.network.proxy import PortProxy
from corten.network.rules import PortRule


@dataclass(slots=True)
class Place:
    """A running container. `sandbox` None: it lives in the host's namespace. `plans` by the network's name. `adopted`: its namespace
    was made by an earlier daemon."""

    container: Container
    plans: dict[str, EndpointPlan] = field(default_factory=dict)
    sandbox: Sandbox | None = None
    held: list[HeldPort] = field(default_factory=list)
    proxies: list[PortProxy] = field(default_factory=list)
    publisher: str | None = None
    adopted: bool = False

    @property
    def ports(self) -> dict[str, tuple[PortBinding, ...]]:
        if self.publisher is None:
            return {}
        return shown_ports(self.container, (port.published for port in self.held))


class NameService(Protocol):
    """What places tell of names; the embedded DNS server is one. Called in the event loop."""

    async def entered(self, place: Place) -> None:
        """A container has its namespace, and its names hold from now on."""
        ...

    async def changed(self, place: Place) -> None:
        """Its networks or names are others now."""
        ...

    def left(self, place: Place) -> None:
        """Its names are nobody's, its sockets closed. Idempotent."""
        ...


class Places:
    def __init__(
        self,
        fabric: Fabric,
        names: NameService,
        *,
        addressing: Addressing,
        settings: NetworkSettings,
        host_has_ipv6: bool,
        host_gateways: Callable[[], tuple[str, ...]],
    ) -> None:
        self._fabric = fabric
        self._names = names
        self._addressing = addressing
        self._ports = PortTable()
        self._settings = settings
        self._host_has_ipv6 = host_has_ipv6
        self._host_gateways = host_gateways
        self._places: dict[str, Place] = {}

    def find(self, ref: str) -> Place | None:
        """By id, name, or the beginning of an id."""
        exact = self._places.get(ref)
        if exact is not None or not ref:
            return exact
        return next((p for p in self._places.values() if p.container.name == ref or p.container.id.startswith(ref)), None)

    def on(self, network: Network) -> list[Place]:
        return [p for p in self._places.values() if any(plan.network.id == network.id for plan in p.plans.values())]

    async def enter(
        self, container: Container, wanted: Iterable[tuple[Network, EndpointConfig]], *, links: list[tuple[str, str]]
    ) -> NetworkPlace:
        """Give the container its place. On an error nothing of it is left."""
        await self.leave(container.id)
        place = Place(container)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._undo, place)
            self._plan(place, wanted)
            gateways = self._host_gateways()
            texts = etc_files.hosts(container, place.plans.values(), gateways=gateways, links=links)
            self._hold_ports(place)
            if container.host.network_mode != "host":
                plugs = {name: plan.plug for name, plan in place.plans.items() if plan.plug is not None}
                place.sandbox = await self._fabric.attach(plugs, self._rules(place), default_givers(place.plans))
            await self._open_proxies(place)
            await self._names.entered(place)
            undo.pop_all()
        self._places[container.id] = place
        await self._relink(container.id)
        return NetworkPlace(
            netns=place.sandbox.path if place.sandbox else None,
            endpoints={name: plan.endpoint for name, plan in place.plans.items()},
            ports=place.ports,
            hosts=texts,
            resolv_conf=self.resolv_conf(place),
        )

    def resolv_conf(self, place: Place) -> str:
        """What its file says as long as it is on the networks that it is on now."""
        embedded = any(plan.network.has_names for plan in place.plans.values())
        return etc_files.resolv_conf(place.container, self._settings, embedded=embedded)

    def expect(self, container: Container, networks: dict[str, Network]) -> Place:
        """The place of a container that outlived the last daemon, from what was stored of it: addresses and ports are its own again.
        `networks` by name; `adopt` follows once the fabric is open."""
        place = Place(container)
        for number, (name, endpoint) in enumerate(container.endpoints.items()):
            network = networks.get(name)
            if network is not None:
                place.plans[name] = restored_plan(network, endpoint, number=number)
                self._addressing.claim(network, place.plans[name].interfaces)
        place.publisher = _publisher(place)
        if place.publisher is not None:
            place.held = [self._ports.restore(port) for port in published_by(container)]
        self._places[container.id] = place
        return place

    async def adopt(self, place: Place) -> None:
        """Its namespace, by its process."""
        if place.container.host.network_mode == "host":
            return
        place.adopted = True
        plugs = {name: plan.plug for name, plan in place.plans.items() if plan.plug is not None}
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile; its `leave` is on the way
            defaults = default_givers(place.plans)
            place.sandbox = await self._fabric.adopt(place.container.state.pid, plugs, self._rules(place), defaults)
            await self._open_proxies(place)
            await self._names.entered(place)

    def rules(self) -> list[PortRule]:
        """Of every published port there is."""
        return [rule for place in self._places.values() for rule in self._rules(place)]

    async def leave(self, container_id: str) -> None:
        """Give everything back. Idempotent."""
        place = self._places.pop(container_id, None)
        if place is not None:
            await self._relink(container_id)
            await self._undo(place)

    async def connect(self, place: Place, network: Network, config: EndpointConfig) -> None:
        """One more network for a running container."""
        assert place.sandbox is not None, "a container in the host's namespace is on no other network"
        number = _free_number(place, network)
        interfaces = self._addressing.allocate(network, config)
        plan = plan_endpoint(network, place.container, config, interfaces, number=number)
        assert plan.plug is not None
        plans = {**place.plans, network.name: plan}
        try:
            await self._fabric.connect(place.sandbox, network.name, plan.plug, default_givers(plans))
        except OSError:
            self._addressing.release(network, interfaces)
            raise
        place.plans = plans
        await self._republish(place)
        await self._relink(place.container.id)
        await self._names.changed(place)

    async def disconnect(self, place: Place, name: str) -> None:
        """One network less."""
        plan = place.plans.pop(name)
        await self._names.changed(place)
        await self._relink(place.container.id)
        if place.sandbox is not None:
            await self._fabric.disconnect(place.sandbox, name, default_givers(place.plans))
        self._addressing.release(plan.network, plan.interfaces)
        await self._republish(place)

    async def renamed(self, container: Container) -> None:
        """Take the new name into the names on each network; links may have become fewer, too."""
        place = self._places.get(container.id)
        if place is None:
            return
        unlinked = container.host.links != place.container.host.links
        place.container = container
        for name, plan in place.plans.items():
            if plan.endpoint.dns_names:
                endpoint = replace(plan.endpoint, dns_names=dns_names(container, plan.config))
                place.plans[name] = replace(plan, endpoint=endpoint)
        if unlinked and place.sandbox is not None:
            await self._fabric.set_ports(place.sandbox, self._rules(place))
        await self._names.changed(place)

    async def close(self) -> None:
        """The daemon ends: sockets and proxies are closed, containers keep everything in the kernel."""
        for place in self._places.values():
            self._names.left(place)
            for proxy in place.proxies:
                proxy.close()
            for held in place.held:
                held.close()
            if place.sandbox is not None:
                place.sandbox.namespace.close()
        self._places.clear()

    def _plan(self, place: Place, wanted: Iterable[tuple[Network, EndpointConfig]]) -> None:
        for network, config in wanted:
            if network.driver in ("null", "host"):
                place.plans[network.name] = plan_without_link(network, config)
                continue
            interfaces = self._addressing.allocate(network, config)
            number = _free_number(place, network)
            place.plans[network.name] = plan_endpoint(network, place.container, config, interfaces, number=number)

    def _hold_ports(self, place: Place) -> None:
        place.publisher = _publisher(place)
        if place.publisher is None:
            return
        plan = place.plans[place.publisher]
        for request in publish_requests(place.container):
            addresses = host_addresses(request, plan, self._settings, host_has_ipv6=self._host_has_ipv6)
            try:
                place.held += self._ports.allocate(request, addresses, target=target_of(request, plan))
            except EngineError as error:
                where = f"driver failed programming external connectivity on endpoint {place.container.name} ({plan.endpoint.endpoint_id})"
                raise EngineError(f"{where}: {error.message}", reason=error.reason, hint=error.hint) from error

    def _rules(self, place: Place) -> list[PortRule]:
        published = (port.published for port in place.held)
        rules = [] if place.publisher is None else port_rules(published, place.plans[place.publisher])
        return rules + self._link_rules(place)

    def _link_rules(self, place: Place) -> list[PortRule]:
        own = place.plans.get("bridge")
        if own is None or own.network.is_on(OPTION_ICC) or not place.container.host.links:
            return []
        others = [self._places.get(link.target) for link in links_of(place.container.host)]
        return link_rules(own, [(other.container, other.plans["bridge"]) for other in others if other and "bridge" in other.plans])

    async def _relink(self, container_id: str) -> None:
        """Its address or its links are others now."""
        if self._settings.icc:
            return
        for place in list(self._places.values()):
            targets = {link.target for link in links_of(place.container.host)}
            if place.sandbox is not None and (container_id in targets or (targets and place.container.id == container_id)):
                await self._fabric.set_ports(place.sandbox, self._rules(place))

    async def _open_proxies(self, place: Place) -> None:
        if place.publisher is None:
            return
        plan = place.plans[place.publisher]
        for held in place.held:
            if held.socket is not None and proxied(held, plan):
                proxy = PortProxy(held, proxy_target(held, plan))
                await proxy.open()
                place.proxies.append(proxy)

    async def _republish(self, place: Place) -> None:
        """After a change of networks: the same host ports, now of the endpoint that gives the default route."""
        if _publisher(place) == place.publisher:
            return
        await self._unpublish(place)
        self._hold_ports(place)
        if place.sandbox is not None:
            await self._fabric.set_ports(place.sandbox, self._rules(place))
        await self._open_proxies(place)

    async def _unpublish(self, place: Place) -> None:
        for proxy in place.proxies:
            proxy.close()
        place.proxies.clear()
        self._ports.release(place.held)
        place.held = []
        place.publisher = None

    async def _undo(self, place: Place) -> None:
        """Names first, so that nobody is sent to an address that is on its way to another container."""
        self._names.left(place)
        await self._unpublish(place)
        if place.sandbox is not None:
            await self._fabric.detach(place.sandbox)
            place.sandbox = None
        for plan in place.plans.values():
            self._addressing.release(plan.network, plan.interfaces)


def _publisher(place: Place) -> str | None:
    """The network whose endpoint the container's ports are published for: that of the default route, among bridges."""
    bridged = {name: plan for name, plan in place.plans.items() if plan.network.driver == "bridge"}
    givers = default_givers(bridged)
    return givers.get(4) or givers.get(6)


def _free_number(place: Place, network: Network) -> int:
    """For a link that the user did not name: others may have any name."""
    taken = {plan.plug.name for plan in place.plans.values() if plan.plug is not None}
    return next(number for number in range(len(taken) + 1) if f"{link_prefix(network)}{number}" not in taken)
