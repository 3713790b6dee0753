"""Networks as a collection, and the door by which containers enter and leave them."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from corten.engine.containers.protocols import NetworkAttachment
from corten.engine.events import Events
from corten.engine.networks import checks, creation
from corten.engine.networks.addressing import Addressing
from corten.engine.networks.attachments import Attachments, NameService
from corten.engine.networks.catalog import NetworkCatalog
from corten.engine.networks.defaults import NO_BRIDGE, bridge_spec, default_bridge, firewall_rules, mtu_of, predefined
from corten.engine.networks.network import Network, NetworkRequest, NetworkSettings
from corten.engine.paths import Paths
from corten.engine.values.container import Container, Endpoint, EndpointConfig
from corten.engine.values.links import Link, links_of, not_linkable
from corten.errors import Denied, EngineError, Invalid, Unavailable, from_wire
from corten.ids import ContainerId, NetworkId, short_id
from corten.network.fabric import Fabric
from corten.network.hostfiles import edit, with_linked
from corten.network.ipam import DEFAULT_POOLS, Pool, parse_pool, unique_local_pool

_SETTING_UP = "failed to set up container networking"


@dataclass(frozen=True, slots=True)
class Member:
    """A running container on a network, as network inspect shows it."""

    container_id: ContainerId
    name: str
    endpoint: Endpoint


class Networks:
    """All methods belong to the event loop. `start` comes before everything else."""

    def __init__(
        self, catalog: NetworkCatalog, fabric: Fabric, settings: NetworkSettings, names: NameService, events: Events, paths: Paths
    ) -> None:
        self.catalog = catalog
        self._fabric = fabric
        self._settings = settings
        self._events = events
        self._paths = paths
        self._addressing = Addressing()
        self.attachments = Attachments(
            fabric,
            names,
            addressing=self._addressing,
            settings=settings,
            host_has_ipv6=os.path.exists("/proc/net/if_inet6"),
            host_gateways=self._host_gateways,
        )
        self._mtu = 1500
        pools = [parse_pool(base, size) for base, size in settings.address_pools] or list(DEFAULT_POOLS)
        self._pools: list[Pool] = [*pools, unique_local_pool(hashlib.sha256(_machine_id()).digest())]

    async def start(self, live: Iterable[Container]) -> None:
        """Bring the kernel in step: bridges, rules and ports as stored, `live` containers (with their present pids) taken up again,
        what is nobody's removed."""
        running = list(live)
        facts = await self._fabric.facts()
        self._mtu = mtu_of(self._settings, facts)
        for name, driver in (("host", "host"), ("none", "null")):
            if self.catalog.find(name) is None:
                self.catalog.put(predefined(name, driver))
        stored = next((network for network in self.catalog if network.is_default_bridge), None)
        if self._settings.bridge == NO_BRIDGE:
            if stored is not None:
                self.catalog.remove(stored.id)
        else:
            taken = [pool.network for network in self.catalog if network is not stored for pool in network.pools]
            in_use = any("bridge" in container.endpoints for container in running)
            self.catalog.put(default_bridge(stored, self._settings, facts, pools=self._pools, taken=taken, in_use=in_use))
        by_name = {network.name: network for network in self.catalog}
        attachments = [self.attachments.restore(container, by_name) for container in running]
        bridged = [network for network in self.catalog if network.bridge]
        parents = [network.own_parent for network in self.catalog if network.own_parent]
        rules = [(bridge_spec(network), firewall_rules(network)) for network in bridged]
        await self._fabric.open(rules, self.attachments.rules(), parents)
        for attachment in attachments:
            await self.attachments.adopt(attachment)

    async def close(self) -> None:
        """The daemon ends; live containers keep their networks."""
        await self.attachments.close()
        await self._fabric.close()

    def check(self, container: Container) -> None:
        """At create: raise what can be known to be wrong before a start. A network that does not exist is said at start."""
        checks.check_host_config(container.host)
        for name, endpoint in container.endpoints.items():
            network = self.catalog.find(name)
            if network is None:
                continue
            checks.check_mac(endpoint.config)
            faults = checks.endpoint_faults(network, endpoint.config)
            if faults:
                raise Invalid(f"invalid config for network {name}: {checks.joined_faults(faults)}", reason="bad-endpoint-settings")

    async def attach(self, container: Container) -> NetworkAttachment:
        """Before its process: a namespace with every network of `container.endpoints`. Undone by `detach`; on an error nothing is
        left. Errors carry Docker's texts."""
        links = self._link_lines(container)
        try:
            wanted = self._wanted(container)
            attachment = await self.attachments.attach(container, wanted, links=links)
        except EngineError as error:
            raise from_wire({**error.to_wire(), "message": f"{_SETTING_UP}: {error.message}"}) from error
        except OSError as error:
            raise EngineError(f"{_SETTING_UP}: {error}", reason="network-kernel") from error
        self._refresh_links(container)
        for network, _ in wanted:
            self._publish(network, "connect", container=container.id)
        return attachment

    async def detach(self, container: Container) -> None:
        """After its exit: addresses, ports, names and the namespace are given back. Idempotent."""
        attachment = self.attachments.find(container.id)
        if attachment is None:
            return
        await self.attachments.detach(container.id)
        for plan in attachment.plans.values():
            self._publish(plan.network, "disconnect", container=container.id)

    async def renamed(self, container: Container) -> None:
        """A running container has another name: its networks know it by that one from now on."""
        await self.attachments.renamed(container)

    async def unlinked(self, container: Container, link: Link) -> None:
        """A container has one link less; if it runs, its hosts file as well."""
        await self.attachments.renamed(container)
        if self.attachments.find(container.id) is not None:
            self._edit_hosts(container, link, [], "")

    async def create(self, request: NetworkRequest) -> Network:
        """Raises Conflict for a taken name, Invalid, Denied and NotFound as Docker answers them; nothing is left then."""
        known = list(self.catalog)
        creation.check_request(request, known)
        facts = await self._fabric.facts()
        network = creation.complete(request, pools=self._pools, taken=facts.routes, networks=known, mtu=self._mtu)
        if network.parent:
            checks.check_parent(network, known, facts.other_links | facts.own_links)
        if network.bridge in facts.other_links:
            raise Denied(f"the link {network.bridge} exists already and is not Corten's", reason="bridge-name-taken")
        if network.bridge or network.parent:
            await self._make(network)
        self.catalog.put(network)
        self._publish(network, "create")
        return network

    async def _make(self, network: Network) -> None:
        """Its bridge or parent in the kernel. On an error nothing is left."""
        try:
            if network.bridge:
                await self._fabric.add_link(bridge_spec(network), firewall_rules(network))
            elif network.own_parent:
                await self._fabric.add_link(network.own_parent)
        except OSError as error:
            await self._unmake(network)
            raise Unavailable(f"failed to create network {network.name}: {error}", reason="network-kernel") from error

    async def _unmake(self, network: Network) -> None:
        shared = any(other.parent == network.parent for other in self.catalog if other.id != network.id)
        if network.bridge or (network.own_parent and not shared):
            await self._fabric.remove_link(network.bridge or network.parent)

    async def remove(self, ref: str) -> NetworkId:
        """Raises NotFound, or Denied for a predefined network and for one with running containers."""
        network = self.catalog.get(ref)
        if network.is_predefined:
            raise Denied(f"{network.name} is a pre-defined network and cannot be removed", reason="predefined-network")
        members = self.members(network)
        if members:
            shown = ", ".join(f'name:"{member.name}" id:"{short_id(member.endpoint.endpoint_id)}"' for member in members)
            raise Denied(
                f"error while removing network: network {network.name} has active endpoints ({shown})",
                reason="network-in-use",
                hint="stop these containers, or take them off by `network disconnect`",
            )
        if any(other.config_from == network.name for other in self.catalog):
            raise Denied(f'error while removing network: configuration network "{network.name}" is in use', reason="network-in-use")
        self.catalog.remove(network.id)
        self._addressing.forget(network)
        await self._unmake(network)
        self._publish(network, "destroy")
        return network.id

    def members(self, network: Network) -> list[Member]:
        """The running containers on it."""
        found = []
        for attachment in self.attachments.on(network):
            endpoint = next(plan.endpoint for plan in attachment.plans.values() if plan.network.id == network.id)
            found.append(Member(attachment.container.id, attachment.container.name, endpoint))
        return found

    def _wanted(self, container: Container) -> list[tuple[Network, EndpointConfig]]:
        """The networks in the order of their links: the mode's first, then by name."""
        mode = container.host.network_mode
        if container.config.network_disabled:
            return [(self.catalog.get("none"), EndpointConfig(network="none"))]
        found = []
        for name, endpoint in container.endpoints.items():
            network = self.catalog.get(name)
            checks.check_usable(network)
            checks.check_endpoint(network, endpoint.config)
            found.append((mode not in (name, network.id), network.name, network, endpoint.config))
        found.sort(key=lambda item: item[:2])
        return [(network, config) for _, _, network, config in found]

    def _link_lines(self, container: Container) -> list[tuple[str, str]]:
        """A line in the hosts file for each link on the default bridge. On other networks the embedded server knows the alias, and
        the other container may come later."""
        lines: list[tuple[str, str]] = []
        if container.host.network_mode not in ("bridge", "default", ""):
            return lines
        for link in links_of(container.host):
            attachment = self.attachments.find(link.target)
            if attachment is None:
                raise not_linkable(link, container, link.target)
            plan = attachment.plans.get("bridge")
            if plan is None:
                raise EngineError(
                    f"container {attachment.container.id} not attached to default bridge network", reason="link-not-on-bridge"
                )
            lines += [(str(interface.ip), _line_names(attachment.container, link)) for interface in plan.interfaces]
        return lines

    def _refresh_links(self, container: Container) -> None:
        """It has other addresses than at its last start: who linked to it must find it there."""
        attachment = self.attachments.find(container.id)
        plan = attachment.plans.get("bridge") if attachment else None
        if plan is None:
            return
        addresses = [str(interface.ip) for interface in plan.interfaces]
        for owner in [other.container for other in self.attachments.on(plan.network) if other.container.host.links]:
            for link in links_of(owner.host):
                if link.target == container.id:
                    self._edit_hosts(owner, link, addresses, _line_names(container, link))

    def _edit_hosts(self, owner: Container, link: Link, addresses: list[str], names: str) -> None:
        path = os.path.join(self._paths.container(owner.id), "hosts")
        edit(path, lambda text: with_linked(text, link.alias, addresses, names))

    def _host_gateways(self) -> tuple[str, ...]:
        if self._settings.host_gateways:
            return self._settings.host_gateways
        bridge = next((network for network in self.catalog if network.is_default_bridge), None)
        return tuple(pool.chosen_gateway for pool in bridge.pools) if bridge else ()

    def _publish(self, network: Network, action: str, **extra: str) -> None:
        self._events.publish("network", action, network.id, {**extra, "name": network.name, "type": network.driver})


def _line_names(container: Container, link: Link) -> str:
    """What a line of the hosts file says behind the address."""
    return " ".join(dict.fromkeys((link.alias, container.config.hostname, container.name)))


def _machine_id() -> bytes:
    """What is this host's own and stays: seeds its IPv6 pool."""
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            continue
    return b""
