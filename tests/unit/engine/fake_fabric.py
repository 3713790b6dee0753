"""The kernel's part of networks without a kernel: it remembers what it was asked."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_network

from corten.network.bridge import BridgeSpec
from corten.network.endpoints import Plug
from corten.network.fabric import Defaults, Fabric, FabricSettings, HostFacts, Sandbox
from corten.network.namespaces import Namespace
from corten.network.parents import ParentSpec
from corten.network.rules import NetworkRules, PortRule


class FakeFabric(Fabric):
    def __init__(self) -> None:
        super().__init__(FabricSettings())
        self.bridges: dict[str, NetworkRules] = {}
        self.parents: set[str] = set()
        self.sandboxes: list[Sandbox] = []
        self.defaults: Defaults = {}
        self.refuse: OSError | None = None
        self.host = HostFacts(1400, (ip_network("172.17.0.0/16"),), frozenset(), frozenset({"lo", "eth0"}))

    async def open(
        self, bridges: Sequence[tuple[BridgeSpec, NetworkRules]], ports: Iterable[PortRule], parents: Sequence[ParentSpec] = ()
    ) -> None:
        self.bridges = {spec.name: rules for spec, rules in bridges}
        self.parents = {spec.name for spec in parents}

    async def close(self) -> None:
        pass

    async def facts(self) -> HostFacts:
        return self.host

    async def add_link(self, spec: BridgeSpec | ParentSpec, rules: NetworkRules | None = None) -> None:
        self._may()
        if rules is None:
            self.parents.add(spec.name)
        else:
            self.bridges[spec.name] = rules

    async def remove_link(self, name: str) -> None:
        self.bridges.pop(name, None)
        self.parents.discard(name)

    async def attach(self, plugs: dict[str, Plug], ports: Sequence[PortRule], defaults: Defaults) -> Sandbox:
        self._may()
        self.defaults = defaults
        sandbox = Sandbox(Namespace(-1), dict(plugs), list(ports))
        self.sandboxes.append(sandbox)
        return sandbox

    async def adopt(self, pid: int, plugs: dict[str, Plug], ports: Sequence[PortRule], defaults: Defaults) -> Sandbox:
        if pid == 0:
            raise FileNotFoundError("/proc/0/ns/net")
        return await self.attach(plugs, ports, defaults)

    async def detach(self, sandbox: Sandbox) -> None:
        self.sandboxes.remove(sandbox)

    async def connect(self, sandbox: Sandbox, name: str, wanted: Plug, defaults: Defaults) -> None:
        self._may()
        sandbox.plugs[name], self.defaults = wanted, defaults

    async def disconnect(self, sandbox: Sandbox, name: str, defaults: Defaults) -> None:
        del sandbox.plugs[name]
        self.defaults = defaults

    async def set_ports(self, sandbox: Sandbox, ports: Sequence[PortRule]) -> None:
        sandbox.ports = list(ports)

    async def run_inside(self, sandbox: Sandbox, call: Callable[[], object]) -> object:
        raise AssertionError("no namespace to run in")

    def _may(self) -> None:
        if self.refuse is not None:
            raise self.refuse
