"""Containers' names for the embedded server: what an attachment's networks, names and DNS settings mean to it."""

import socket
from dataclasses import dataclass
from functools import partial

from corten.engine.networks.attachments import Attachment
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


class EmbeddedDns:
    """The `NameService` of the engine."""

    def __init__(self, fabric: Fabric, server: DnsServer, settings: NetworkSettings) -> None:
        self._fabric = fabric
        self._server = server
        self._settings = settings

    async def entered(self, attachment: Attachment) -> None:
        await self.changed(attachment)

    async def changed(self, attachment: Attachment) -> None:
        """The server's sockets are opened when the container gets its first network with names."""
        named = _named(attachment)
        self._server.directory.put(attachment.container.id, [_member(attachment, plan) for plan in named])
        if attachment.sandbox is None or not (named or self._server.has(attachment.container.id)):
            return
        view, forwarder = _view(named), self._forwarder(attachment, attachment.sandbox)
        if self._server.has(attachment.container.id):
            self._server.change(attachment.container.id, view, forwarder)
            return
        sockets = await self._fabric.run_inside(attachment.sandbox, partial(open_dns, fresh=not attachment.adopted))
        assert isinstance(sockets, DnsSockets)
        self._server.open(attachment.container.id, sockets, view, forwarder)

    def left(self, attachment: Attachment) -> None:
        self._server.directory.remove(attachment.container.id)
        self._server.close(attachment.container.id)

    def _forwarder(self, attachment: Attachment, sandbox: Sandbox) -> Forwarder | None:
        """None where every network is internal: questions are a way out as well."""
        if all(plan.network.internal for plan in attachment.plans.values()):
            return None
        servers = resolver_of(attachment.container, self._settings).servers
        if attachment.container.host.dns or self._settings.dns:
            return Forwarder(servers, _Inside(self._fabric, sandbox).open)
        return Forwarder(servers, open_here)


def _named(attachment: Attachment) -> list[EndpointPlan]:
    return [plan for plan in attachment.plans.values() if plan.network.has_names]


def _member(attachment: Attachment, plan: EndpointPlan) -> Member:
    addresses = tuple(interface.ip for interface in plan.interfaces)
    return Member(attachment.container.id, plan.network.id, plan.network.name, plan.endpoint.dns_names, addresses)


def _view(plans: list[EndpointPlan]) -> View:
    links: dict[str, str] = {}
    for plan in plans:
        for link in plan.config.links:
            name, _, alias = link.partition(":")
            links[(alias or name).lower()] = name
    return View(tuple(plan.network.id for plan in plans), links)
