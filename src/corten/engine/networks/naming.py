"""Containers' names for the embedded server: what a place's networks, names and DNS settings mean to it."""

import socket
from dataclasses import dataclass
from functools import partial

from corten.engine.networks.attachments import Place
from corten.engine.networks.endpoint_plans import EndpointPlan
from corten.engine.networks.etc_files import resolver_of
from corten.engine.networks.network import NetworkSettings
from corten.network.dns.directory import Member, View
from corten.network.dns.forward import Forwarder, open_here
from corten.network.dns.server import DnsServer
from corten.network.dns.sockets import DnsSockets, open_dns
from corten.network.fabric import Fabric, Sandbox


@dataclass(frozen=True, slots=True)
class _Inside:
    """Opens sockets in a container's namespace: servers that the user named are asked from there, as the container would."""

    fabric: Fabric
    sandbox: Sandbox

    async def open(self, family: int, kind: int) -> socket.socket:
        made = await self.fabric.run_inside(self.sandbox, lambda: socket.socket(family, kind | socket.SOCK_CLOEXEC))
        assert isinstance(made, socket.socket)
        return made


class Naming:
    """The `NameService` of the engine."""

    def __init__(self, fabric: Fabric, server: DnsServer, settings: NetworkSettings) -> None:
        self._fabric = fabric
        self._server = server
        self._settings = settings

    async def entered(self, place: Place) -> None:
        await self.changed(place)

    async def changed(self, place: Place) -> None:
        """The server's sockets are opened when the container gets its first network with names."""
        named = _named(place)
        self._server.directory.put(place.container.id, [_member(place, plan) for plan in named])
        if place.sandbox is None or not (named or self._server.has(place.container.id)):
            return
        view, forwarder = _view(named), self._forwarder(place, place.sandbox)
        if self._server.has(place.container.id):
            self._server.change(place.container.id, view, forwarder)
            return
        sockets = await self._fabric.run_inside(place.sandbox, partial(open_dns, fresh=not place.adopted))
        assert isinstance(sockets, DnsSockets)
        self._server.open(place.container.id, sockets, view, forwarder)

    def left(self, place: Place) -> None:
        self._server.directory.remove(place.container.id)
        self._server.close(place.container.id)

    def _forwarder(self, place: Place, sandbox: Sandbox) -> Forwarder | None:
        """None where every network is internal: questions are a way out as well."""
        if all(plan.network.internal for plan in place.plans.values()):
            return None
        servers = resolver_of(place.container, self._settings).servers
        if place.container.host.dns or self._settings.dns:
            return Forwarder(servers, _Inside(self._fabric, sandbox).open)
        return Forwarder(servers, open_here)


def _named(place: Place) -> list[EndpointPlan]:
    return [plan for plan in place.plans.values() if plan.network.has_names]


def _member(place: Place, plan: EndpointPlan) -> Member:
    addresses = tuple(interface.ip for interface in plan.interfaces)
    return Member(place.container.id, plan.network.id, plan.network.name, plan.endpoint.dns_names, addresses)


def _view(plans: list[EndpointPlan]) -> View:
    links: dict[str, str] = {}
    for plan in plans:
        for link in plan.config.links:
            name, _, alias = link.partition(":")
            links[(alias or name).lower()] = name
    return View(tuple(plan.network.id for plan in plans), links)
