"""Changes to a rule set as values, and the socket that applies a list of them as one atomic transaction."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from corten.kernel.netlink.codec import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    attribute,
    be32,
    nested,
    pack_message,
    text,
)
from corten.kernel.netlink.socket import NETLINK_NETFILTER, Netlink, error_of, raise_for
from corten.kernel.nftables.expressions import NFPROTO_INET, value, verdict_data

SUBSYS = 10 << 8
_BATCH_BEGIN = 0x10
_BATCH_END = 0x11
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, GETRULE, DELRULE, NEWSET, GETSET, DELSET = range(12)
NEWSETELEM, GETSETELEM, DELSETELEM = 12, 13, 14
_NLMSG_ERROR = 2

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
SET_INTERVAL = 0x4
SET_MAP = 0x8
SET_CONCAT = 0x80
_ELEMENT_END = 1
_VERDICT_TYPE = 0xFFFFFF00

# Type numbers mean nothing to the kernel; with them `nft list ruleset` prints addresses and ports as such.
TYPE_IPV4 = 7
TYPE_IPV6 = 8
TYPE_PROTOCOL = 12
TYPE_PORT = 13
TYPE_INTERFACE = 41
_HOST_ENDIAN_KEY = struct.pack("=BBI", 0, 4, 1)  # nft's own note in the set's user data: print the key as a string


def concat_type(*types: int) -> int:
    result = 0
    for kind in types:
        result = result << 6 | kind
    return result


def _message(kind: int, flags: int, payload: bytes, what: str, family: int = NFPROTO_INET) -> Message:
    return Message(SUBSYS | kind, flags, struct.pack("!BBH", family, 0, 0) + payload, what)


@dataclass(frozen=True, slots=True)
class Element:
    """A member of a set or map. `data` is plain bytes; `end` marks the first key behind an interval."""

    key: bytes
    data: bytes | None = None
    end: bool = False

    def encode(self) -> bytes:
        parts = []
        if self.end:
            parts.append(be32(3, _ELEMENT_END))
        parts.append(nested(1, value(self.key)))
        if self.data is not None:
            parts.append(nested(2, value(self.data)))
        return nested(1, *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A set, or with `data_length` a map. Lengths are bytes, `key_type`/`data_type` are for people's eyes only."""

    name: str
    key_length: int
    key_type: int
    flags: int = 0
    data_length: int = 0
    data_type: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A base chain when it has a hook. `kind` is filter or nat; rules run in their order."""

    name: str
    hook: str = ""
    priority: int = 0
    kind: str = "filter"
    rules: tuple[bytes, ...] = field(default=())


def add_table(table: str, *, family: int = NFPROTO_INET) -> Message:
    """Adds it; nothing happens when it is there."""
    return _message(NEWTABLE, NLM_F_CREATE, text(1, table), f"add table {table}", family)


def delete_table(table: str, *, family: int = NFPROTO_INET) -> Message:
    return _message(DELTABLE, 0, text(1, table), f"delete table {table}", family)


def add_chain(table: str, chain: Chain, *, family: int = NFPROTO_INET) -> Message:
    parts = [text(1, table), text(3, chain.name)]
    if chain.hook:
        parts += [nested(4, be32(1, HOOKS[chain.hook]), be32(2, chain.priority)), be32(5, 1), text(7, chain.kind)]
    return _message(NEWCHAIN, NLM_F_CREATE, b"".join(parts), f"add chain {chain.name}", family)


def add_rule(table: str, chain: str, expressions: bytes, *, family: int = NFPROTO_INET) -> Message:
    """Appends."""
    payload = text(1, table) + text(2, chain) + nested(4, expressions)
    return _message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, payload, f"add rule to {chain}", family)


def add_set(table: str, wanted: Set, number: int) -> Message:
    """`number` identifies the set inside its batch."""
    flags = wanted.flags | (SET_MAP if wanted.data_length else 0)
    parts = [text(1, table), text(2, wanted.name), be32(3, flags), be32(4, wanted.key_type), be32(5, wanted.key_length)]
    if wanted.data_length:
        parts += [be32(6, wanted.data_type), be32(7, wanted.data_length)]
    parts.append(be32(10, number))
    if wanted.key_type == TYPE_INTERFACE:
        parts.append(attribute(13, _HOST_ENDIAN_KEY))
    return _message(NEWSET, NLM_F_CREATE, b"".join(parts), f"add set {wanted.name}")


def add_elements(table: str, name: str, elements: Iterable[Element]) -> list[Message]:
    """Raises EEXIST at `run` when one of them is there already. As many messages as the size limit of an attribute asks for."""
    return _elements(NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, table, name, list(elements))


def delete_elements(table: str, name: str, elements: Iterable[Element]) -> list[Message]:
    """Raises ENOENT at `run` when one of them is not there."""
    return _elements(DELSETELEM, 0, table, name, list(elements))


def _elements(kind: int, flags: int, table: str, name: str, elements: Sequence[Element]) -> list[Message]:
    verb = "add to" if kind == NEWSETELEM else "delete from"
    head = text(1, table) + text(2, name)
    return [
        _message(kind, flags, head + nested(3, *(element.encode() for element in elements[start : start + 512])), f"{verb} {name}")
        for start in range(0, len(elements), 512)
    ]


def define_table(table: str, sets: Sequence[Set], chains: Sequence[Chain], *, fresh: bool = False) -> list[Message]:
    """The table as described and empty sets, in place of whatever had that name; `fresh`: nothing has. Chains may jump to chains
    before them only."""
    messages = [add_table(table)] if fresh else [add_table(table), delete_table(table), add_table(table)]
    messages += [add_set(table, wanted, number) for number, wanted in enumerate(sets, 1)]
    for chain in chains:
        messages.append(add_chain(table, chain))
        messages += [add_rule(table, chain.name, rule) for rule in chain.rules]
    return messages


def define_chains(table: str, family: int, chains: Sequence[Chain]) -> list[Message]:
    """A table of one family with these chains and no sets, in place of whatever had that name."""
    messages = [add_table(table, family=family), delete_table(table, family=family), add_table(table, family=family)]
    for chain in chains:
        messages.append(add_chain(table, chain, family=family))
        messages += [add_rule(table, chain.name, rule, family=family) for rule in chain.rules]
    return messages


def verdict_value(code: int, chain: str = "") -> bytes:
    return verdict_data(code, chain)


def _border(kind: int) -> Message:
    return Message(kind, 0, struct.pack("!BBH", 0, 0, SUBSYS >> 8), "nftables transaction")


class NftSocket:
    """A netfilter socket for atomic batches, bound to the network namespace of the thread that opens it."""

    def __init__(self) -> None:
        self.netlink = Netlink(NETLINK_NETFILTER)
        self.netlink.set_buffers(1 << 22)

    def close(self) -> None:
        self.netlink.close()

    def run(self, messages: Sequence[Message]) -> None:
        """All or nothing. Raises OSError with the first refused message's words."""
        if not messages:
            return
        begin = self.netlink.next_sequence()
        pending = {self.netlink.next_sequence(): message for message in messages}
        last = max(pending)
        parts = [pack_message(_border(_BATCH_BEGIN), begin)]
        parts += [pack_message(message, sequence, NLM_F_ACK if sequence == last else 0) for sequence, message in pending.items()]
        parts.append(pack_message(_border(_BATCH_END), self.netlink.next_sequence()))
        self.netlink.send(b"".join(parts))
        self._await(pending, begin, last)

    def _await(self, pending: dict[int, Message], begin: int, last: int) -> None:
        """A refusal of the transaction as a whole is answered under the number of its begin message."""
        failed: tuple[int, str, Message] | None = None
        done = False
        while not done:
            for reply in self.netlink.receive():
                if reply.type != _NLMSG_ERROR or not begin <= reply.sequence <= last:
                    continue
                code, detail = error_of(reply)
                if code and failed is None:
                    failed = (code, detail, pending.get(reply.sequence, _border(_BATCH_BEGIN)))
                done = done or reply.sequence in (begin, last)
        if failed is not None:
            raise_for(*failed)
