"""Policy rules: which routing table is asked for which packets (ip-rule(8), linux/fib_rules.h)."""

import errno
import struct
from dataclasses import dataclass

from corten.kernel.netlink.codec import NLM_F_CREATE, NLM_F_EXCL, Message, text, u32

RTM_NEWRULE = 32
RTM_DELRULE = 33
MAIN_TABLE = 254
_FRA_IIFNAME = 3
_FRA_PRIORITY = 6
_FRA_FWMARK = 10
_FRA_TABLE = 15
_FRA_FWMASK = 16
_TO_TABLE = 1
_FAMILY = {4: 2, 6: 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Ask `table` for packets that came in by `input_link`, or that carry `mark`; the lowest priority is asked first."""

    version: int
    priority: int
    table: int
    input_link: str = ""
    mark: int = 0


def _payload(policy: Policy) -> bytes:
    parts = [struct.pack("=BBBBBBBBI", _FAMILY[policy.version], 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)]
    parts += [u32(_FRA_PRIORITY, policy.priority), u32(_FRA_TABLE, policy.table)]
    if policy.input_link:
        parts.append(text(_FRA_IIFNAME, policy.input_link))
    if policy.mark:
        parts += [u32(_FRA_FWMARK, policy.mark), u32(_FRA_FWMASK, 0xFFFFFFFF)]
    return b"".join(parts)


def add_policy(policy: Policy) -> Message:
    """Adds it; one that is there already is no error."""
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _payload(policy), f"add {policy}", frozenset({errno.EEXIST}))


def delete_policy(policy: Policy) -> Message:
    return Message(RTM_DELRULE, 0, _payload(policy), f"delete {policy}", frozenset({errno.ENOENT}))
