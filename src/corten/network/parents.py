"""The links under macvlan and ipvlan networks that the engine makes itself: VLAN sub-interfaces, and links that lead nowhere.

A network without a parent gets a dummy; on a kernel without that module, one end of a veth pair. Only links that carry the
engine's alias are ever removed.
"""

import errno
from dataclasses import dataclass

from corten.errors import EngineError
from corten.kernel.netlink import links
from corten.kernel.netlink.socket import Netlink

KINDS = {"macvlan": "dm", "ipvlan": "di"}
_HIGHEST_VLAN = 4094
_NO_SUCH_KIND = frozenset((errno.EOPNOTSUPP, errno.ENODEV))


@dataclass(frozen=True, slots=True)
class ParentSpec:
    """`vlan_of` "" = leads nowhere. `owner` is written into the link's alias."""

    name: str
    vlan_of: str = ""
    vlan_id: int = 0
    owner: str = ""


def isolated_parent(driver: str, network_id: str) -> ParentSpec:
    """Of a network that names no parent."""
    return ParentSpec(f"{KINDS[driver]}-{network_id[:12]}")


def parse_vlan(name: str) -> ParentSpec:
    """`eth0.50`: the sub-interface 50 of eth0. Raises EngineError with Docker's texts."""
    parts = name.split(".")
    if len(parts) != 2:
        raise EngineError(
            f"invalid subinterface vlan name {name}, example formatting is eth0.10",
            reason="no-such-parent",
            hint="name a link of this host (`ls /sys/class/net`), or link.VLAN",
        )
    link, number = parts
    if not number.isdecimal():
        raise EngineError(f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)", reason="bad-vlan")
    if not 1 <= int(number) <= _HIGHEST_VLAN:
        raise EngineError(f"vlan id must be between 1-{_HIGHEST_VLAN}, received: {number}", reason="bad-vlan")
    return ParentSpec(name, link, int(number))


def find_vlan(name: str) -> ParentSpec | None:
    """None for a name that says no VLAN."""
    try:
        return parse_vlan(name)
    except EngineError:
        return None


def ensure_parent(netlink: Netlink, spec: ParentSpec) -> int:
    """The link's index; made and set up where it is missing. Whose it is does not matter. Raises OSError."""
    found = links.find_link(netlink, spec.name)
    if found is None:
        _create(netlink, spec)
        found = links.get_link(netlink, spec.name)
    return found.index


def _create(netlink: Netlink, spec: ParentSpec) -> None:
    finish = [links.set_alias(spec.name, spec.owner), links.set_up(spec.name)]
    if spec.vlan_of:
        parent = links.get_link(netlink, spec.vlan_of)
        netlink.run([links.new_vlan(spec.name, parent=parent.index, vlan_id=spec.vlan_id), *finish])
        return
    try:
        netlink.run([links.new_dummy(links.Inside(name=spec.name))])
    except OSError as error:
        if error.errno not in _NO_SUCH_KIND:
            raise
        other = f"{spec.name[:2]}p{spec.name[3:]}"
        netlink.run([links.new_veth(spec.name, links.Inside(name=other)), links.no_link_local(other), links.set_up(other)])
    netlink.run([links.no_link_local(spec.name), *finish])
