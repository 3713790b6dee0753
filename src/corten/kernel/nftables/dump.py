"""What is in the kernel's rule sets: tables, base chains and the elements of a set."""

import errno
import struct
from dataclasses import dataclass

from corten.kernel.netlink.codec import NLM_F_DUMP, Message, attributes, text, unpack_text, walk
from corten.kernel.netlink.socket import Netlink, NetlinkError
from corten.kernel.nftables.batch import GETCHAIN, GETRULE, GETSETELEM, GETTABLE, HOOKS, SUBSYS
from corten.kernel.nftables.expressions import NFPROTO_INET

_HOOK_NAMES = {number: name for name, number in HOOKS.items()}
_DROP = 0


def _head(family: int) -> bytes:
    return struct.pack("!BBH", family, 0, 0)


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls. `family` is NFPROTO_*."""

    family: int
    table: str
    name: str
    hook: str
    priority: int
    drops_by_default: bool


def has_table(netlink: Netlink, table: str, *, family: int = NFPROTO_INET) -> bool:
    question = Message(SUBSYS | GETTABLE, 0, _head(family) + text(1, table), f"look up table {table}")
    try:
        return bool(netlink.query(question))
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return False


def count_rules(netlink: Netlink, table: str, *, family: int = NFPROTO_INET) -> int:
    """How many rules the table has; 0 without the table."""
    question = Message(SUBSYS | GETRULE, NLM_F_DUMP, _head(family) + text(1, table), f"list rules of {table}")
    try:
        return len(netlink.query(question))
    except NetlinkError as error:
        if error.errno != errno.ENOENT:
            raise
        return 0


def list_base_chains(netlink: Netlink) -> list[BaseChain]:
    """Of every table of every family; classic iptables rules are not among them, those of iptables-nft are."""
    found = []
    for reply in netlink.query(Message(SUBSYS | GETCHAIN, NLM_F_DUMP, _head(0), "list chains")):
        parts = attributes(reply.payload[4:])
        if 4 not in parts:
            continue
        hook = attributes(parts[4])
        number, priority = struct.unpack("!I", hook[1])[0], struct.unpack("!i", hook[2])[0]
        policy = struct.unpack("!I", parts[5])[0] if 5 in parts else 1
        name = _HOOK_NAMES.get(number, str(number))
        found.append(BaseChain(reply.payload[0], unpack_text(parts.get(1)), unpack_text(parts.get(3)), name, priority, policy == _DROP))
    return found


def list_elements(netlink: Netlink, table: str, name: str) -> dict[bytes, bytes]:
    """Key -> data (b"" in a plain set). The ends of intervals are left out."""
    question = Message(SUBSYS | GETSETELEM, NLM_F_DUMP, _head(NFPROTO_INET) + text(1, table) + text(2, name), f"list {name}")
    found: dict[bytes, bytes] = {}
    for reply in netlink.query(question):
        listed = attributes(reply.payload[4:]).get(3, b"")
        for _kind, element in walk(listed):
            parts = attributes(element)
            if 3 in parts and struct.unpack("!I", parts[3])[0] & 1:
                continue
            found[attributes(parts[1])[1]] = attributes(parts[2]).get(1, b"") if 2 in parts else b""
    return found
