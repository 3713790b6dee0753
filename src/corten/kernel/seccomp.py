"""Seccomp: OCI `linux.seccomp` compiled to a filter program, and the call that installs it.

Architectures: the native one always, its 32-bit sibling (i386, ARM) when the profile lists it; x32 calls always get ENOSYS;
any other architecture is killed, as libseccomp does. Numbers above the highest that the profile knows get ENOSYS in place of
the profile's errno, so that a libc newer than the profile falls back to what it did before (runc does the same).
A call with both conditional and unconditional rules: conditions are tried first, in the profile's order.
"""

import ctypes
import struct
from typing import Any, Final

from corten.kernel.libc import by_machine, check, syscall
from corten.kernel.seccomp_program import Branch, Leaf, Section, Test, assemble
from corten.kernel.syscalls import syscall_table

Profile = dict[str, Any]
"""OCI runtime-spec `linux.seccomp`: defaultAction, defaultErrnoRet, architectures, flags, syscalls."""

RET_KILL_THREAD, RET_ALLOW, RET_ERRNO, RET_NOTIFY = 0x00000000, 0x7FFF0000, 0x00050000, 0x7FC00000
_ACTIONS = {
    "SCMP_ACT_KILL": RET_KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": RET_ERRNO,
    "SCMP_ACT_NOTIFY": RET_NOTIFY,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": RET_ALLOW,
}
_OPS = ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ")
_EPERM, _ENOSYS = 1, 38

FLAG_TSYNC, FLAG_LOG, FLAG_SPEC_ALLOW, FLAG_NEW_LISTENER, FLAG_WAIT_KILLABLE = 1, 2, 4, 8, 32  # the last: Linux 5.19
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # the installing process has one thread
    "SECCOMP_FILTER_FLAG_LOG": FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": FLAG_WAIT_KILLABLE,
}

# machine -> ((OCI name, table, AUDIT_ARCH_*, is 64 bit), ...), the native architecture first
_MACHINES = {
    "x86_64": (("SCMP_ARCH_X86_64", "x86_64", 0xC000003E, True), ("SCMP_ARCH_X86", "i386", 0x40000003, False)),
    "aarch64": (("SCMP_ARCH_AARCH64", "aarch64", 0xC00000B7, True), ("SCMP_ARCH_ARM", "arm", 0x40000028, False)),
}
_X32_BIT = 0x40000000
_NR_SECCOMP = by_machine(317, 277)
_SET_MODE_FILTER = 1


def compile_profile(profile: Profile, arch: str) -> bytes:
    """The filter as an array of `struct sock_filter`; `arch` is x86_64 or aarch64. ~1.5 ms for Docker's default profile.

    Unknown system call names are skipped (profiles name calls of every architecture). Raises ValueError for an unknown action,
    operator or argument index, for a value out of range, and past 4096 instructions.
    """
    if arch not in _MACHINES:
        raise ValueError(f"seccomp is not built for {arch}: x86_64 or aarch64")
    default = _action(profile.get("defaultAction", ""), profile.get("defaultErrnoRet"))
    rules = [pair for rule in profile.get("syscalls") or [] for pair in _branches(rule)]
    listed = profile.get("architectures") or []
    sections = []
    for index, (name, table, audit_arch, is_64bit) in enumerate(_MACHINES[arch]):
        if index == 0 or name in listed:
            ranges = _ranges(_leaves(rules, syscall_table(table), default), default)
            if table == "x86_64":
                ranges = _refuse_x32(ranges)
            sections.append(Section(audit_arch, is_64bit, ranges))
    return assemble(sections, RET_KILL_THREAD)


def filter_flags(profile: Profile) -> int:
    """The flags for `install`. Without any in the profile SPEC_ALLOW, as runc: no slow-down for speculation safety."""
    flags = profile.get("flags")
    if flags is None:
        return FLAG_SPEC_ALLOW
    found = 0
    for flag in flags:
        if flag not in _FLAGS:
            raise ValueError(f"unknown seccomp flag {flag!r}")
        found |= _FLAGS[flag]
    return found


def has_notify(profile: Profile) -> bool:
    """Whether some action asks a listener: then `install` needs FLAG_NEW_LISTENER and the descriptor goes to `listenerPath`."""
    return any(rule.get("action") == "SCMP_ACT_NOTIFY" for rule in profile.get("syscalls") or [])


def install(program: bytes, flags: int = 0) -> int:
    """seccomp(2) SECCOMP_SET_MODE_FILTER on this thread. Needs no_new_privs or CAP_SYS_ADMIN (else EACCES).

    Returns the listener's descriptor with FLAG_NEW_LISTENER, else 0. A kernel that does not know a flag answers EINVAL.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    return check(syscall(_NR_SECCOMP, _SET_MODE_FILTER, flags, fprog), "seccomp")


_INTS: Final = {
    **dict.fromkeys(("socket", "socketpair"), "012"),
    **dict.fromkeys(("personality", "clone", "prctl", "keyctl", "bpf", "io_uring_setup", "userfaultfd", "epoll_create1"), "0"),
    **dict.fromkeys(("setns", "ioctl", "fcntl", "kill", "listen", "shutdown", "flock"), "01"),
    **dict.fromkeys(("setsockopt", "getsockopt", "kcmp", "tgkill", "dup3"), "012"),
    **dict.fromkeys(("bind", "connect", "mlockall"), "0"),
    **dict.fromkeys(("open", "accept4", "pipe2", "eventfd2", "memfd_create"), "1"),
    **dict.fromkeys(("openat",), "02"),
}
"""Arguments that the kernel takes as int or unsigned int, or of which it uses no more (clone): by position.

libseccomp compares 64 bits, so a value with a bit above is "not equal" to what the kernel then reads.
"""


def _action(name: str, errno_ret: int | None) -> int:
    if name not in _ACTIONS:
        raise ValueError(f"unknown seccomp action {name!r}")
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        number = _EPERM if errno_ret is None else errno_ret
        if not 0 <= number <= 0xFFFF:
            raise ValueError(f"seccomp errnoRet {number} is out of range")
        return _ACTIONS[name] | number
    return _ACTIONS[name]


def _branches(rule: dict[str, Any]) -> list[tuple[list[str], list[Branch]]]:
    """Names and what they get. Which half of an argument counts is each call's own matter, so with tests each name stands alone."""
    if not rule.get("args"):
        return [(rule["names"], _branch(rule, ""))]
    return [([name], _branch(rule, name)) for name in rule["names"]]


def _branch(rule: dict[str, Any], name: str) -> list[Branch]:
    """A rule's branches: one with all its tests, or one per test where two tests name the same argument (runc's reading: any of them)."""
    ret = _action(rule.get("action", ""), rule.get("errnoRet"))
    tests = [_test(arg, _INTS.get(name, "")) for arg in rule.get("args") or []]
    if len({test.argument for test in tests}) < len(tests):
        return [Branch((test,), ret) for test in tests]
    return [Branch(tuple(tests), ret)]


def _test(arg: dict[str, Any], ints: str) -> Test:
    op = arg.get("op", "").removeprefix("SCMP_CMP_")
    index, value, value_two = arg.get("index", 0), arg.get("value", 0), arg.get("valueTwo", 0)
    if op not in _OPS:
        raise ValueError(f"unknown seccomp operator {arg.get('op')!r}")
    if not 0 <= index <= 5:
        raise ValueError(f"seccomp argument index {index}: a system call has arguments 0 to 5")
    if not (0 <= value < 1 << 64 and 0 <= value_two < 1 << 64):
        raise ValueError("seccomp argument values are unsigned 64-bit numbers")
    return Test(index, op, value, value_two, str(index) in ints)


def _leaves(rules: list[tuple[list[str], list[Branch]]], table: dict[str, int], default: int) -> dict[int, Leaf]:
    """System call number -> what it gets, for all that some rule names. Conditions before the first unconditional verdict."""
    conditional: dict[int, list[Branch]] = {}
    final: dict[int, int] = {}
    for names, branches in rules:
        if not branches[0].tests:
            for name in names:
                if name in table:
                    final.setdefault(table[name], branches[0].ret)
            continue
        for name in names:
            if name in table:
                conditional.setdefault(table[name], []).extend(branches)
    leaves = {number: Leaf((), ret) for number, ret in final.items()}
    for number, branches in conditional.items():
        leaves[number] = Leaf(tuple(branches), final.get(number, default))
    return leaves


def _ranges(leaves: dict[int, Leaf], default: int) -> list[tuple[int, Leaf]]:
    """The leaves as (first number, leaf), gaps filled with the default, neighbours that are alike merged."""
    unknown = default if default & 0xFFFF0000 != RET_ERRNO else RET_ERRNO | _ENOSYS
    otherwise = Leaf((), default)
    ranges: list[tuple[int, Leaf]] = []
    following = 0
    for number in sorted(leaves):
        if number > following:
            _append(ranges, following, otherwise)
        _append(ranges, number, leaves[number])
        following = number + 1
    _append(ranges, following, Leaf((), unknown) if leaves else otherwise)
    return ranges


def _append(ranges: list[tuple[int, Leaf]], number: int, leaf: Leaf) -> None:
    if not ranges or ranges[-1][1] != leaf:
        ranges.append((number, leaf))


def _refuse_x32(ranges: list[tuple[int, Leaf]]) -> list[tuple[int, Leaf]]:
    _append(ranges, _X32_BIT, Leaf((), RET_ERRNO | _ENOSYS))
    return ranges
