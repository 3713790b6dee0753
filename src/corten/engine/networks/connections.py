"""Connect and disconnect: a container's networks change, running or not."""

import os
from collections.abc import Callable

from corten.engine.events import Events
from corten.engine.networks import checks
from corten.engine.networks.attachments import Attachment
from corten.engine.networks.endpoint_plans import dns_names
from corten.engine.networks.network import Network
from corten.engine.networks.networks import Networks
from corten.engine.paths import Paths
from corten.engine.records.containers import ContainerCatalog, ContainerEntry
from corten.engine.records.state import has_process
from corten.engine.values.container import Endpoint, EndpointConfig
from corten.errors import Conflict, Denied, EngineError, Invalid, NotFound
from corten.ids import NetworkId
from corten.network.hostfiles import append_hosts, edit, own_lines, without_hosts


class Connections:
    def __init__(self, networks: Networks, containers: ContainerCatalog, paths: Paths, events: Events) -> None:
        self._networks = networks
        self._containers = containers
        self._paths = paths
        self._events = events

    async def connect(self, network_ref: str, container_ref: str, config: EndpointConfig) -> None:
        """Put the container on one more network; of a stopped one it is remembered for its next start."""
        if not container_ref:
            raise Invalid('invalid name or ID supplied: ""', reason="no-container-named")
        network = self._networks.catalog.get(network_ref)
        entry = self._containers.get(container_ref)
        async with entry.lock:
            self._containers.check_present(entry, container_ref)
            self._check(network, entry, config)
            attachment = self._place(entry)
            if attachment is None:
                self._remember(entry, network, config)
            else:
                await self._connect(attachment, entry, network, config)
        self._publish(network, "connect", entry)

    async def disconnect(self, network_ref: str, container_ref: str, *, force: bool = False) -> None:
        """Take the container off the network. `force`: also where the container is gone already."""
        if not container_ref:
            raise Invalid('invalid name or ID supplied: ""', reason="no-container-named")
        network = self._networks.catalog.get(network_ref)
        try:
            entry = self._containers.get(container_ref)
        except NotFound as error:
            if force:
                raise NotFound(f"endpoint {container_ref} not found", reason="no-such-endpoint") from error
            raise
        async with entry.lock:
            name = _name_on(entry, network)
            if name is None:
                raise EngineError(
                    f"container {entry.id} is not connected to network {network.name}", reason="not-connected", hint="see docker inspect"
                )
            if network.driver == "host":
                text = "cannot disconnect container from host network - container was created in host network mode"
                raise Invalid(text, reason="host-network")
            attachment = self._place(entry)
            endpoints = dict(entry.value.endpoints)
            del endpoints[name]
            if attachment is None:
                self._containers.set_live(entry, endpoints=endpoints)
            else:
                before = self._networks.attachments.resolv_conf(attachment)
                gone = [str(interface.ip) for interface in attachment.plans[network.name].interfaces]
                await self._networks.attachments.disconnect(attachment, network.name)
                self._edit(entry, "hosts", lambda text: without_hosts(text, gone))
                self._edit_resolver(attachment, entry, before)
                self._containers.set_live(entry, endpoints=endpoints, ports=attachment.ports)
        self._publish(network, "disconnect", entry)

    def _check(self, network: Network, entry: ContainerEntry, config: EndpointConfig) -> None:
        checks.check_usable(network)
        mode = entry.value.host.network_mode
        if mode.startswith("container:"):
            text = "container sharing network namespace with another container or host cannot be connected to any other network"
            raise Denied(text, reason="shared-namespace")
        if network.driver == "host":
            text = "cannot connect container to host network - container must be created in host network mode"
            raise Invalid(text, reason="host-network")
        present = [self._networks.catalog.find(name) for name in entry.value.endpoints]
        drivers = {other.driver for other in present if other is not None}
        if "host" in drivers:
            text = "container sharing network namespace with another container or host cannot be connected to any other network"
            raise Denied(text, reason="host-network")
        if entry.value.endpoints and (network.driver == "null" or "null" in drivers):
            text = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            raise Invalid(text, reason="private-network")
        if _name_on(entry, network) is not None:
            raise Denied(f"endpoint with name {entry.value.name} already exists in network {network.name}", reason="already-connected")
        checks.check_endpoint(network, config)

    def _place(self, entry: ContainerEntry) -> Attachment | None:
        return self._networks.attachments.find(entry.id) if has_process(entry.state) else None

    def _remember(self, entry: ContainerEntry, network: Network, config: EndpointConfig) -> None:
        """Its id is looked up at the start, as of a network that `create` names."""
        endpoint = Endpoint(config=config, network_id=NetworkId(""), dns_names=dns_names(entry.value, config) if network.has_names else ())
        self._containers.set_live(entry, endpoints={**entry.value.endpoints, network.name: endpoint})

    async def _connect(self, attachment: Attachment, entry: ContainerEntry, network: Network, config: EndpointConfig) -> None:
        before = self._networks.attachments.resolv_conf(attachment)
        try:
            await self._networks.attachments.connect(attachment, network, config)
        except OSError as error:
            raise Conflict(f"failed to connect {entry.value.name} to {network.name}: {error}", reason="network-kernel") from error
        own = entry.value.config
        addresses = [str(interface.ip) for interface in attachment.plans[network.name].interfaces]
        self._edit(entry, "hosts", lambda text: append_hosts(text, own_lines(addresses, own.hostname, own.domainname)))
        self._edit_resolver(attachment, entry, before)
        endpoints = {**entry.value.endpoints, network.name: attachment.plans[network.name].endpoint}
        self._containers.set_live(entry, endpoints=endpoints, ports=attachment.ports)

    def _edit_resolver(self, attachment: Attachment, entry: ContainerEntry, before: str) -> None:
        """A container on its first network with names asks the embedded server from now on, unless it wrote the file itself."""
        after = self._networks.attachments.resolv_conf(attachment)
        self._edit(entry, "resolv.conf", lambda text: after if text == before else text)

    def _edit(self, entry: ContainerEntry, name: str, change: Callable[[str], str]) -> None:
        edit(os.path.join(self._paths.container(entry.id), name), change)

    def _publish(self, network: Network, action: str, entry: ContainerEntry) -> None:
        self._events.publish("network", action, network.id, {"container": entry.id, "name": network.name, "type": network.driver})


def _name_on(entry: ContainerEntry, network: Network) -> str | None:
    """Under which name the container has this network among its endpoints: its name, or as the user wrote it before the first start."""
    for name, endpoint in entry.value.endpoints.items():
        if name in (network.name, network.id) or endpoint.network_id == network.id or (len(name) >= 12 and network.id.startswith(name)):
            return name
    return None
