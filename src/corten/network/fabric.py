"""The kernel side of all networks as one object: bridges, the firewall, namespaces and their endpoints.

Everything waits in the network thread, one piece of work after another (the kernel's own lock for links is one as well); the event
loop only awaits. What it is told are values; nothing of containers, names or storage is known here.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from corten.kernel.netlink import addresses, conntrack, links, routes
from corten.kernel.netlink.socket import NETLINK_NETFILTER, Netlink
from corten.kernel.nftables.batch import DELCHAIN, DELRULE, DELTABLE, SUBSYS
from corten.network.bridge import BridgeSpec, enable_forwarding, ensure_bridge, host_networks, remove_bridge, uplink_mtu
from corten.network.endpoints import Plug, default_routes, next_name, no_default_routes, plug, unplug
from corten.network.firewall import Firewall, strangers_that_drop
from corten.network.gate import ensure_gate, gate_of, remove_gate
from corten.network.namespaces import Namespace, NamespacePool, NetworkThread, create_namespace, entered, open_own_namespace
from corten.network.parents import KINDS, ParentSpec, ensure_parent
from corten.network.rules import NetworkRules, PortRule

logger = logging.getLogger("corten.network")
_NFTABLES_GROUP = 7
_REMOVALS = frozenset(SUBSYS | kind for kind in (DELTABLE, DELCHAIN, DELRULE))
_REFILL_DELAY = 0.05
IPAddress = IPv4Address | IPv6Address
Defaults = dict[int, str]
"""IP version -> the network whose endpoint gives the default route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricSettings:
    """`table` and `owner` tell this engine's rules and links from another's on the same host. `forwarding` and `firewall` may be
    switched off by the user, who then does it himself."""

    table: str = "corten"
    owner: str = "corten"
    pool_size: int = 4
    forwarding: bool = True
    firewall: bool = True


@dataclass(frozen=True, slots=True)
class HostFacts:
    """`routes`: networks that the host routes elsewhere than to our bridges. Link names: ours (bridges) and all others."""

    uplink_mtu: int
    routes: tuple[routes.Network, ...]
    own_links: frozenset[str]
    other_links: frozenset[str]


@dataclass(slots=True)
class Sandbox:
    """A container's namespace and what is plugged into it, by the network's name. `defaults` are those that its routes follow,
    None when nobody here has set them."""

    namespace: Namespace
    plugs: dict[str, Plug] = field(default_factory=dict)
    ports: list[PortRule] = field(default_factory=list)
    defaults: Defaults | None = None

    @property
    def path(self) -> str:
        return self.namespace.path


def new_link_name() -> str:
    return f"veth{secrets.token_hex(4)[:7]}"


class Fabric:
    """Made in the event loop, opened once. Every method returns when the kernel has done it."""

    def __init__(self, settings: FabricSettings) -> None:
        self._settings = settings
        self._thread = NetworkThread()
        self._firewall = Firewall(settings.table)
        self._pool = NamespacePool(settings.pool_size, new_name=new_link_name)
        self._parents: dict[str, int] = {}
        self._host: Netlink | None = None
        self._watch: Netlink | None = None
        self._tracking: Netlink | None = None
        self._closed = False

    async def open(
        self, bridges: Sequence[tuple[BridgeSpec, NetworkRules]], ports: Iterable[PortRule], parents: Sequence[ParentSpec] = ()
    ) -> None:
        """Bring the kernel to this state: bridges and parents made or mended, ours that are not listed removed, the table written
        anew."""
        loop = asyncio.get_running_loop()
        await self._thread.run(self._open, list(bridges), list(ports), parents)
        if self._settings.firewall:
            self._watch = Netlink(NETLINK_NETFILTER, groups=[_NFTABLES_GROUP])
            loop.add_reader(self._watch.fileno(), self._heard)
        self._refill()

    async def close(self) -> None:
        """Lets go of everything. Live containers keep their links, rules and ports."""
        self._closed = True
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
        await self._thread.run(self._close)
        self._thread.close()

    async def facts(self) -> HostFacts:
        """The host as it is now; callable before `open`."""
        return await self._thread.run(self._facts)

    async def add_link(self, spec: BridgeSpec | ParentSpec, rules: NetworkRules | None = None) -> None:
        """A bridge with its `rules`, or the link under macvlan and ipvlan endpoints."""
        await self._thread.run(self._add_link, spec, rules)

    async def remove_link(self, name: str) -> None:
        """A bridge or a parent, unless it is somebody else's. Idempotent."""
        await self._thread.run(self._remove_link, name)

    async def attach(self, plugs: dict[str, Plug], ports: Sequence[PortRule], defaults: Defaults) -> Sandbox:
        """A fresh namespace with these endpoints. The sandbox is the caller's to `detach`. On an error nothing is left."""
        try:
            return await self._thread.run(self._attach, plugs, list(ports), defaults)
        finally:
            self._refill_soon()

    async def adopt(self, pid: int, plugs: dict[str, Plug], ports: Sequence[PortRule], defaults: Defaults) -> Sandbox:
        """The sandbox of a container that outlived the last daemon, by one of its processes. What that one had not finished is made to
        be as told here. Raises FileNotFoundError."""
        return await self._thread.run(self._adopt, pid, plugs, list(ports), defaults)

    async def detach(self, sandbox: Sandbox) -> None:
        """Closes its ports and lets the namespace go. Quick: the kernel removes the links when the last process has left."""
        await self._thread.run(self._detach, sandbox)

    async def connect(self, sandbox: Sandbox, name: str, wanted: Plug, defaults: Defaults) -> None:
        """One more endpoint for a running container; the default routes are those of `defaults` from now on."""
        await self._thread.run(self._connect, sandbox, name, wanted, defaults)

    async def disconnect(self, sandbox: Sandbox, name: str, defaults: Defaults) -> None:
        """Take an endpoint away. Idempotent."""
        await self._thread.run(self._disconnect, sandbox, name, defaults)

    async def set_ports(self, sandbox: Sandbox, ports: Sequence[PortRule]) -> None:
        """Publish these ports and no others."""
        await self._thread.run(self._set_ports, sandbox, list(ports))

    async def run_inside(self, sandbox: Sandbox, call: Callable[[], "object"]) -> object:
        """The value of `call`, made by the network thread while it is in the sandbox's namespace."""
        return await self._thread.run(self._run_inside, sandbox, call)

    # In the network thread from here on.

    def _open(self, bridges: list[tuple[BridgeSpec, NetworkRules]], ports: list[PortRule], parents: Sequence[ParentSpec]) -> None:
        self._host = host = Netlink()
        self._tracking = Netlink(NETLINK_NETFILTER)
        self._pool.open()
        wanted = {spec.name for spec, _ in bridges} | {spec.name for spec in parents}
        for link in links.list_links(host):
            if self._is_ours(link) and link.name not in wanted:
                host.run([links.delete_link(link.index)])
        for parent in parents:
            try:
                ensure_parent(host, replace(parent, owner=self._settings.owner))
            except OSError as error:  # eth0 of eth0.50 may come later; the start of a container says so
                logger.warning("the parent link %s of a network is not there: %s", parent.name, error)
        for spec, _ in bridges:
            self._parents[spec.name] = ensure_bridge(host, replace(spec, owner=self._settings.owner))
        was_off = self._settings.forwarding and enable_forwarding(ipv6=any(spec.has_ipv6 for spec, _ in bridges))
        if not self._settings.firewall:
            return
        self._firewall.open()
        uplinks = self._firewall.present_uplinks()
        if was_off:
            uplinks = [link.name for link in links.list_links(host) if not link.kind and not link.flags & links.IFF_LOOPBACK]
        self._open_gate()
        self._firewall.rebuild([rules for _, rules in bridges], ports, uplinks=uplinks)
        for chain in strangers_that_drop(self._tracking, self._settings.table):
            logger.warning(
                "the chain %s of table %s drops forwarded packets that it does not know, also those of containers:"
                " allow the bridges of Corten there (with Docker beside: iptables -I DOCKER-USER -i corten0 -j ACCEPT, and -o)",
                chain.name,
                chain.table,
            )

    def _is_ours(self, link: links.Link) -> bool:
        """A bridge or parent that this engine made; not its gate, which has the same alias."""
        isolated = link.name.startswith(tuple(f"{prefix}-" for prefix in KINDS.values()))
        return link.alias == self._settings.owner and (link.kind in ("bridge", "vlan") or isolated)

    def _open_gate(self) -> None:
        """Kernels without nft_dup_ipv4 (CONFIG_NFT_DUP_IPV4) do without."""
        gate = gate_of(self._settings.table)
        try:
            out = ensure_gate(self._netlink, gate, self._settings.owner)
            self._firewall.use_gate(gate, out)
        except OSError as error:
            logger.warning("published ports do not pass the host's input filter, only its forward filter: %s", error)
            remove_gate(self._netlink, gate)

    def _close(self) -> None:
        self._pool.close()
        self._firewall.close()
        for netlink in (self._host, self._tracking):
            if netlink is not None:
                netlink.close()

    @property
    def _netlink(self) -> Netlink:
        assert self._host is not None, "Fabric.open first"
        return self._host

    def _facts(self) -> HostFacts:
        with Netlink() as netlink:
            present = links.list_links(netlink)
            ours = frozenset(link.name for link in present if link.alias == self._settings.owner)
            others = frozenset(link.name for link in present) - ours
            return HostFacts(uplink_mtu(netlink), tuple(host_networks(netlink, ignore_links=ours)), ours, others)

    def _add_link(self, spec: BridgeSpec | ParentSpec, rules: NetworkRules | None) -> None:
        if isinstance(spec, ParentSpec):
            ensure_parent(self._netlink, replace(spec, owner=self._settings.owner))
            return
        if self._settings.forwarding and spec.has_ipv6:
            enable_forwarding(ipv6=True)
        self._parents[spec.name] = ensure_bridge(self._netlink, replace(spec, owner=self._settings.owner))
        if self._settings.firewall and rules is not None:
            self._firewall.add_network(rules)

    def _remove_link(self, name: str) -> None:
        if self._settings.firewall:
            self._firewall.remove_network(name)
        found = links.find_link(self._netlink, name)
        if found is not None and self._is_ours(found):
            remove_bridge(self._netlink, name)
        self._parents.pop(name, None)

    def _parent(self, name: str) -> int:
        """The index of a bridge of ours, or of any other link."""
        return self._parents.get(name) or links.get_link(self._netlink, name).index

    def _attach(self, plugs: dict[str, Plug], ports: list[PortRule], defaults: Defaults) -> Sandbox:
        ready = any(wanted.kind == "bridge" for wanted in plugs.values())
        namespace = self._pool.take() if ready else create_namespace()
        sandbox = Sandbox(namespace)
        try:
            with self._inside(sandbox) as inside:
                spare = namespace.link
                for name, wanted in plugs.items():
                    if wanted.kind == "bridge":
                        wanted = replace(wanted, host_link=spare or new_link_name())  # noqa: PLW2901
                        spare = ""
                    self._plug(sandbox, inside, name, wanted, defaults)
            sandbox.defaults = defaults
            self._open_ports(sandbox, ports)
        except OSError:
            self._detach(sandbox)
            raise
        return sandbox

    def _plug(self, sandbox: Sandbox, inside: Netlink, name: str, wanted: Plug, defaults: Defaults) -> None:
        sandbox.plugs[name] = wanted
        versions = [version for version, giver in defaults.items() if giver == name]
        plug(self._netlink, inside, sandbox.namespace, wanted, parent=self._parent(wanted.parent), default_for=versions)

    def _inside(self, sandbox: Sandbox) -> Netlink:
        """A netlink socket of the sandbox's namespace."""
        with entered(sandbox.namespace.fd):
            return Netlink()

    def _adopt(self, pid: int, plugs: dict[str, Plug], ports: list[PortRule], defaults: Defaults) -> Sandbox:
        """Its links are found by their addresses: names may have changed as networks came and went."""
        sandbox = Sandbox(Namespace(open_own_namespace(pid)), {}, ports)
        outer = {link.index: link for link in links.list_links(self._netlink)}
        with self._inside(sandbox) as inside:
            inner = {link.index: link for link in links.list_links(inside)}
            owners = {address.interface: inner[address.link] for address in addresses.list_addresses(inside)}
            ends = {link.index: outer[link.parent] for link in inner.values() if link.parent in outer}
            for name, wanted in plugs.items():
                link = next((owners[address] for address in wanted.addresses if address in owners), None)
                if link is not None:
                    end = ends.pop(link.index, None)
                    sandbox.plugs[name] = replace(wanted, name=link.name, host_link=end.name if end else "")
            strays = [end.name for index, end in ends.items() if end.parent == index and end.master in self._parents.values()]
            missing = {name: wanted for name, wanted in plugs.items() if name not in sandbox.plugs}
            if strays or missing:
                self._heal(sandbox, inside, strays, missing, defaults)
        return sandbox

    def _heal(self, sandbox: Sandbox, inside: Netlink, strays: list[str], missing: dict[str, Plug], defaults: Defaults) -> None:
        """A daemon was killed between the kernel's part of a connect or disconnect and the record of it: the record holds."""
        logger.info("links of a container are mended: %d too many, %d missing", len(strays), len(missing))
        try:
            self._netlink.run([links.delete_link(name) for name in strays])
            for name, wanted in missing.items():
                host_link = new_link_name() if wanted.kind == "bridge" else ""
                free = next_name(inside) if links.find_link(inside, wanted.name) else wanted.name
                self._plug(sandbox, inside, name, replace(wanted, name=free, host_link=host_link), {})
            self._reroute(sandbox, inside, defaults)
        except OSError as error:
            logger.warning("links of a container are not as they should be: %s", error)

    def _open_ports(self, sandbox: Sandbox, ports: list[PortRule]) -> None:
        """Whoever sent datagrams before the port was published has a flow to the host itself, which would go on."""
        if self._settings.firewall:
            self._firewall.add_ports(ports)
        called = {port.host_port for port in ports if port.protocol == "udp" and port.source is None}
        if called:
            assert self._tracking is not None
            conntrack.flush_flows(self._tracking, protocol=17, ports=called)
        sandbox.ports += ports

    def _close_ports(self, sandbox: Sandbox, ports: list[PortRule]) -> None:
        """Without a flush, datagrams of a known peer would go on to the address of a container that is gone."""
        if self._settings.firewall:
            self._firewall.remove_ports(ports)
        sandbox.ports = [port for port in sandbox.ports if port not in ports]
        self._flush_datagrams({port.address for port in ports if port.protocol == "udp"})

    def _flush_datagrams(self, containers: set[IPAddress]) -> None:
        """On a socket that stays open: closing one waits for the kernel to destroy what the firewall just removed."""
        if containers:
            assert self._tracking is not None
            conntrack.flush_flows(self._tracking, containers, protocol=17)

    def _detach(self, sandbox: Sandbox) -> None:
        self._close_ports(sandbox, list(sandbox.ports))
        sandbox.namespace.close()

    def _set_ports(self, sandbox: Sandbox, ports: list[PortRule]) -> None:
        self._close_ports(sandbox, [port for port in sandbox.ports if port not in ports])
        self._open_ports(sandbox, [port for port in ports if port not in sandbox.ports])

    def _connect(self, sandbox: Sandbox, name: str, wanted: Plug, defaults: Defaults) -> None:
        wanted = replace(wanted, host_link=new_link_name()) if wanted.kind == "bridge" else wanted
        with self._inside(sandbox) as inside:
            try:
                self._plug(sandbox, inside, name, wanted, {})
                self._reroute(sandbox, inside, defaults)
            except OSError:
                unplug(self._netlink, inside, wanted)
                sandbox.plugs.pop(name, None)
                raise

    def _disconnect(self, sandbox: Sandbox, name: str, defaults: Defaults) -> None:
        gone = sandbox.plugs.pop(name, None)
        if gone is None:
            return
        with self._inside(sandbox) as inside:
            unplug(self._netlink, inside, gone)
            self._reroute(sandbox, inside, defaults)

    def _reroute(self, sandbox: Sandbox, inside: Netlink, defaults: Defaults) -> None:
        """Old default routes go and new ones come in one datagram; nothing is looked at where they stay."""
        if sandbox.defaults == defaults:
            return
        steps = no_default_routes(inside)
        for name, wanted in sandbox.plugs.items():
            versions = [version for version, giver in defaults.items() if giver == name]
            if versions:
                steps += default_routes(wanted, links.index_of(inside, wanted.name), versions)
        inside.run(steps)
        sandbox.defaults = defaults

    def _run_inside(self, sandbox: Sandbox, call: Callable[[], object]) -> object:
        with entered(sandbox.namespace.fd):
            return call()

    # The event loop again.

    def _refill_soon(self) -> None:
        if not self._closed:
            asyncio.get_running_loop().call_later(_REFILL_DELAY, self._refill)

    def _refill(self) -> None:
        """One namespace at a time, so that a start never waits for more than one."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()

        def done(future: Future[bool]) -> None:
            if future.exception() is not None:
                logger.warning("no namespace made in advance: %s", future.exception())
            elif future.result() and not loop.is_closed():
                loop.call_soon_threadsafe(self._refill)

        self._thread.submit(self._pool.fill, done)

    def _heard(self) -> None:
        """Somebody changed a rule set: read the news away and look at ours."""
        assert self._watch is not None
        harm = False
        try:
            while news := self._watch.receive(wait=False):
                harm = harm or any(item.type in _REMOVALS for item in news)
        except OSError as error:
            logger.debug("rule set news were lost: %s", error)  # ENOBUFS: more than the socket could hold
            harm = True
        if harm:
            self._thread.submit(self._mend, self._mended)

    def _mend(self) -> bool:
        if self._closed or self._firewall.is_intact():
            return False
        self._firewall.restore()
        return True

    def _mended(self, future: Future[bool]) -> None:
        if future.exception() is not None:
            logger.error("the firewall table could not be written again: %s", future.exception())
        elif future.result():
            logger.warning("somebody removed the firewall table %s; it is back", self._settings.table)
