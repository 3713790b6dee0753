"""The eBPF program that guards devices on cgroup v2, made from a `devices.Policy`.

The kernel calls it with `struct bpf_cgroup_dev_ctx` {access << 16 | type, major, minor} for every open and mknod; 1 allows.
The last rule of the list wins, so rules are tested from the last to the first:

    r2 = type, r3 = access, r4 = major, r5 = minor
    rule n:  not its type, number or access?  -> rule n-1        else r0 = its verdict, exit
    ...
    r0 = default, exit

A rule without any condition never appears in a digested policy: the verifier refuses what follows one ("unreachable insn").
"""

from collections.abc import Iterator

from corten.kernel.bpf import Instruction
from corten.kernel.cgroup.devices import WILDCARD, Policy, Rule

_LDXW, _AND32_K, _RSH32_K, _AND64_K, _MOV64_K, _MOV64_X, _EXIT = 0x61, 0x54, 0x74, 0x57, 0xB7, 0xBF, 0x95
_JEQ_K, _JNE_K, _JNE_X = 0x15, 0x55, 0x5D
_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_R0, _R1, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)

_PROLOGUE = (
    Instruction(_LDXW, dst=_TYPE, src=_R1, off=0),
    Instruction(_AND32_K, dst=_TYPE, imm=0xFFFF),
    Instruction(_LDXW, dst=_WANTED, src=_R1, off=0),
    Instruction(_RSH32_K, dst=_WANTED, imm=16),
    Instruction(_LDXW, dst=_MAJOR, src=_R1, off=4),
    Instruction(_LDXW, dst=_MINOR, src=_R1, off=8),
)


def device_program(policy: Policy) -> list[Instruction]:
    """The whole program; at most 8 instructions a rule."""
    program = list(_PROLOGUE)
    for rule in reversed(policy.rules):
        program += _rule(rule)
    return program + _verdict(policy.allow_by_default)


def _verdict(allow: bool) -> list[Instruction]:
    return [Instruction(_MOV64_K, dst=_R0, imm=int(allow)), Instruction(_EXIT)]


def _rule(rule: Rule) -> list[Instruction]:
    tests = list(_tests(rule))
    body = _verdict(rule.allow)
    rest = len(tests) + len(body)
    placed = []
    for index, test in enumerate(tests):
        is_jump = test.code in (_JEQ_K, _JNE_K, _JNE_X)
        placed.append(test._replace(off=rest - index - 1) if is_jump else test)
    return placed + body


def _tests(rule: Rule) -> Iterator[Instruction]:
    """Jumps (offset still open) that leave for the next rule when this one does not match."""
    if rule.type in _TYPES:
        yield Instruction(_JNE_K, dst=_TYPE, imm=_TYPES[rule.type])
    mask = sum(_ACCESS[letter] for letter in set(rule.access))
    if mask != 7:
        yield Instruction(_MOV64_X, dst=_R1, src=_WANTED)
        yield Instruction(_AND64_K, dst=_R1, imm=mask)
        # To allow, all that is wanted must be granted; to deny, one denied kind of access in it is enough.
        yield Instruction(_JNE_X, dst=_R1, src=_WANTED) if rule.allow else Instruction(_JEQ_K, dst=_R1, imm=0)
    if rule.major != WILDCARD:
        yield Instruction(_JNE_K, dst=_MAJOR, imm=rule.major)
    if rule.minor != WILDCARD:
        yield Instruction(_JNE_K, dst=_MINOR, imm=rule.minor)
