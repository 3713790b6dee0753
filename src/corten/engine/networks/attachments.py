"""Running containers on their networks: each one's namespace, endpoints, ports and names, from start to exit.

Decisions are made here (addresses, ports: quick, in the event loop), the kernel's part is the fabric's. Whatever was taken is given
back when a later step fails.
"""

import contextlib
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from corten.engine.containers.protocols import NetworkAttachment
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
class Attachment:
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
    """What attachments tell of names; the embedded DNS server is one. Called in the event loop."""

    async def entered(self, attachment: Attachment) -> None:
        """A container has its namespace, and its names hold from now on."""
        ...

    async def changed(self, attachment: Attachment) -> None:
        """Its networks or names are others now."""
        ...

    def left(self, attachment: Attachment) -> None:
        """Its names are nobody's, its sockets closed. Idempotent."""
        ...


class Attachments:
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
        self._attachments: dict[str, Attachment] = {}

    def find(self, ref: str) -> Attachment | None:
        """By id, name, or the beginning of an id."""
        exact = self._attachments.get(ref)
        if exact is not None or not ref:
            return exact
        return next((p for p in self._attachments.values() if p.container.name == ref or p.container.id.startswith(ref)), None)

    def on(self, network: Network) -> list[Attachment]:
        return [p for p in self._attachments.values() if any(plan.network.id == network.id for plan in p.plans.values())]

    async def attach(
        self, container: Container, wanted: Iterable[tuple[Network, EndpointConfig]], *, links: list[tuple[str, str]]
    ) -> NetworkAttachment:
        """Connects the container. On an error nothing of it is left."""
        await self.detach(container.id)
        attachment = Attachment(container)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._undo, attachment)
            self._plan(attachment, wanted)
            gateways = self._host_gateways()
            texts = etc_files.hosts(container, attachment.plans.values(), gateways=gateways, links=links)
            self._hold_ports(attachment)
            if container.host.network_mode != "host":
                plugs = {name: plan.plug for name, plan in attachment.plans.items() if plan.plug is not None}
                attachment.sandbox = await self._fabric.attach(plugs, self._rules(attachment), default_givers(attachment.plans))
            await self._open_proxies(attachment)
            await self._names.entered(attachment)
            undo.pop_all()
        self._attachments[container.id] = attachment
        await self._relink(container.id)
        return NetworkAttachment(
            netns=attachment.sandbox.path if attachment.sandbox else None,
            endpoints={name: plan.endpoint for name, plan in attachment.plans.items()},
            ports=attachment.ports,
            hosts=texts,
            resolv_conf=self.resolv_conf(attachment),
        )

    def resolv_conf(self, attachment: Attachment) -> str:
        """What its file says as long as it is on the networks that it is on now."""
        embedded = any(plan.network.has_names for plan in attachment.plans.values())
        return etc_files.resolv_conf(attachment.container, self._settings, embedded=embedded)

    def restore(self, container: Container, networks: dict[str, Network]) -> Attachment:
        """What a container has that outlived the last daemon, from what was stored of it: addresses and ports are its own again.
        `networks` by name; `adopt` follows once the fabric is open."""
        attachment = Attachment(container)
        for number, (name, endpoint) in enumerate(container.endpoints.items()):
            network = networks.get(name)
            if network is not None:
                attachment.plans[name] = restored_plan(network, endpoint, number=number)
                self._addressing.claim(network, attachment.plans[name].interfaces)
        attachment.publisher = _publisher(attachment)
        if attachment.publisher is not None:
            attachment.held = [self._ports.restore(port) for port in published_by(container)]
        self._attachments[container.id] = attachment
        return attachment

    async def adopt(self, attachment: Attachment) -> None:
        """Its namespace, by its process."""
        if attachment.container.host.network_mode == "host":
            return
        attachment.adopted = True
        plugs = {name: plan.plug for name, plan in attachment.plans.items() if plan.plug is not None}
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile; its `detach` is on the way
            defaults = default_givers(attachment.plans)
            attachment.sandbox = await self._fabric.adopt(attachment.container.state.pid, plugs, self._rules(attachment), defaults)
            await self._open_proxies(attachment)
            await self._names.entered(attachment)

    def rules(self) -> list[PortRule]:
        """Of every published port there is."""
        return [rule for attachment in self._attachments.values() for rule in self._rules(attachment)]

    async def detach(self, container_id: str) -> None:
        """Give everything back. Idempotent."""
        attachment = self._attachments.pop(container_id, None)
        if attachment is not None:
            await self._relink(container_id)
            await self._undo(attachment)

    async def connect(self, attachment: Attachment, network: Network, config: EndpointConfig) -> None:
        """One more network for a running container."""
        assert attachment.sandbox is not None, "a container in the host's namespace is on no other network"
        number = _free_number(attachment, network)
        interfaces = self._addressing.allocate(network, config)
        plan = plan_endpoint(network, attachment.container, config, interfaces, number=number)
        assert plan.plug is not None
        plans = {**attachment.plans, network.name: plan}
        try:
            await self._fabric.connect(attachment.sandbox, network.name, plan.plug, default_givers(plans))
        except OSError:
            self._addressing.release(network, interfaces)
            raise
        attachment.plans = plans
        await self._republish(attachment)
        await self._relink(attachment.container.id)
        await self._names.changed(attachment)

    async def disconnect(self, attachment: Attachment, name: str) -> None:
        """One network less."""
        plan = attachment.plans.pop(name)
        await self._names.changed(attachment)
        await self._relink(attachment.container.id)
        if attachment.sandbox is not None:
            await self._fabric.disconnect(attachment.sandbox, name, default_givers(attachment.plans))
        self._addressing.release(plan.network, plan.interfaces)
        await self._republish(attachment)

    async def renamed(self, container: Container) -> None:
        """Take the new name into the names on each network; links may have become fewer, too."""
        attachment = self._attachments.get(container.id)
        if attachment is None:
            return
        unlinked = container.host.links != attachment.container.host.links
        attachment.container = container
        for name, plan in attachment.plans.items():
            if plan.endpoint.dns_names:
                endpoint = replace(plan.endpoint, dns_names=dns_names(container, plan.config))
                attachment.plans[name] = replace(plan, endpoint=endpoint)
        if unlinked and attachment.sandbox is not None:
            await self._fabric.set_ports(attachment.sandbox, self._rules(attachment))
        await self._names.changed(attachment)

    async def close(self) -> None:
        """The daemon ends: sockets and proxies are closed, containers keep everything in the kernel."""
        for attachment in self._attachments.values():
            self._names.left(attachment)
            for proxy in attachment.proxies:
                proxy.close()
            for held in attachment.held:
                held.close()
            if attachment.sandbox is not None:
                attachment.sandbox.namespace.close()
        self._attachments.clear()

    def _plan(self, attachment: Attachment, wanted: Iterable[tuple[Network, EndpointConfig]]) -> None:
        for network, config in wanted:
            if network.driver in ("null", "host"):
                attachment.plans[network.name] = plan_without_link(network, config)
                continue
            interfaces = self._addressing.allocate(network, config)
            number = _free_number(attachment, network)
            attachment.plans[network.name] = plan_endpoint(network, attachment.container, config, interfaces, number=number)

    def _hold_ports(self, attachment: Attachment) -> None:
        attachment.publisher = _publisher(attachment)
        if attachment.publisher is None:
            return
        plan = attachment.plans[attachment.publisher]
        for request in publish_requests(attachment.container):
            addresses = host_addresses(request, plan, self._settings, host_has_ipv6=self._host_has_ipv6)
            try:
                attachment.held += self._ports.allocate(request, addresses, target=target_of(request, plan))
            except EngineError as error:
                where = (
                    f"driver failed programming external connectivity on endpoint {attachment.container.name} ({plan.endpoint.endpoint_id})"
                )
                raise EngineError(f"{where}: {error.message}", reason=error.reason, hint=error.hint) from error

    def _rules(self, attachment: Attachment) -> list[PortRule]:
        published = (port.published for port in attachment.held)
        rules = [] if attachment.publisher is None else port_rules(published, attachment.plans[attachment.publisher])
        return rules + self._link_rules(attachment)

    def _link_rules(self, attachment: Attachment) -> list[PortRule]:
        own = attachment.plans.get("bridge")
        if own is None or own.network.is_on(OPTION_ICC) or not attachment.container.host.links:
            return []
        others = [self._attachments.get(link.target) for link in links_of(attachment.container.host)]
        return link_rules(own, [(other.container, other.plans["bridge"]) for other in others if other and "bridge" in other.plans])

    async def _relink(self, container_id: str) -> None:
        """Its address or its links are others now."""
        if self._settings.icc:
            return
        for attachment in list(self._attachments.values()):
            targets = {link.target for link in links_of(attachment.container.host)}
            if attachment.sandbox is not None and (container_id in targets or (targets and attachment.container.id == container_id)):
                await self._fabric.set_ports(attachment.sandbox, self._rules(attachment))

    async def _open_proxies(self, attachment: Attachment) -> None:
        if attachment.publisher is None:
            return
        plan = attachment.plans[attachment.publisher]
        for held in attachment.held:
            if held.socket is not None and proxied(held, plan):
                proxy = PortProxy(held, proxy_target(held, plan))
                await proxy.open()
                attachment.proxies.append(proxy)

    async def _republish(self, attachment: Attachment) -> None:
        """After a change of networks: the same host ports, now of the endpoint that gives the default route."""
        if _publisher(attachment) == attachment.publisher:
            return
        await self._unpublish(attachment)
        self._hold_ports(attachment)
        if attachment.sandbox is not None:
            await self._fabric.set_ports(attachment.sandbox, self._rules(attachment))
        await self._open_proxies(attachment)

    async def _unpublish(self, attachment: Attachment) -> None:
        for proxy in attachment.proxies:
            proxy.close()
        attachment.proxies.clear()
        self._ports.release(attachment.held)
        attachment.held = []
        attachment.publisher = None

    async def _undo(self, attachment: Attachment) -> None:
        """Names first, so that nobody is sent to an address that is on its way to another container."""
        self._names.left(attachment)
        await self._unpublish(attachment)
        if attachment.sandbox is not None:
            await self._fabric.detach(attachment.sandbox)
            attachment.sandbox = None
        for plan in attachment.plans.values():
            self._addressing.release(plan.network, plan.interfaces)


def _publisher(attachment: Attachment) -> str | None:
    """The network whose endpoint the container's ports are published for: that of the default route, among bridges."""
    bridged = {name: plan for name, plan in attachment.plans.items() if plan.network.driver == "bridge"}
    givers = default_givers(bridged)
    return givers.get(4) or givers.get(6)


def _free_number(attachment: Attachment, network: Network) -> int:
    """For a link that the user did not name: others may have any name."""
    taken = {plan.plug.name for plan in attachment.plans.values() if plan.plug is not None}
    return next(number for number in range(len(taken) + 1) if f"{link_prefix(network)}{number}" not in taken)
