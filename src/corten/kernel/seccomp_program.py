"""From decisions about system calls to a classic-BPF program: a binary search over number ranges with argument tests as leaves.

The program is assembled from its end, so that a jump's target is always known. A jump reaches at most 255 instructions ahead;
farther targets get a `ja` in between, and a far return is simply written again (one instruction as well).

    ld arch -> native?   ld nr -> search tree -> leaf: return, or tests of arguments and then returns
            -> compat?   the same with the other table
            -> else      kill
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

_LD_ABS, _JA, _JEQ, _JGT, _JGE, _AND, _RET = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06
_OFF_NR, _OFF_ARCH, _OFF_ARGS = 0, 4, 16
_MASK32 = 0xFFFFFFFF


class Test(NamedTuple):
    """One comparison of an argument (0..5). `op`: EQ NE LT LE GT GE, or MASKED_EQ (`value` is the mask, `value_two` what is left).

    `is_int`: the kernel reads the argument's lower half only, so the upper one must not decide.
    """

    argument: int
    op: str
    value: int
    value_two: int = 0
    is_int: bool = False


class Branch(NamedTuple):
    """If all tests hold, return `ret`."""

    tests: tuple[Test, ...]
    ret: int


class Leaf(NamedTuple):
    """What one system call gets: the first branch that holds, else `ret`."""

    branches: tuple[Branch, ...]
    ret: int


class Section(NamedTuple):
    """One architecture: its AUDIT_ARCH value, argument width, and (first number, leaf) ascending from 0, each valid up to the next."""

    audit_arch: int
    is_64bit: bool
    ranges: Sequence[tuple[int, Leaf]]


class _Assembler:
    """Instructions in reverse. A label is the number of instructions from it to the end."""

    __slots__ = ("_returns", "code")

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self._returns: dict[int, int] = {}

    def emit(self, code: int, k: int, jt: int = 0, jf: int = 0) -> int:
        self.code.append((code, jt, jf, k))
        return len(self.code)

    def ret(self, value: int) -> int:
        """A label that returns `value`; near ones are shared."""
        label = self._returns.get(value)
        if label is None or len(self.code) - label > 240:
            label = self._returns[value] = self.emit(_RET, value)
        return label

    def jump(self, code: int, k: int, if_true: int, if_false: int) -> int:
        """A conditional jump to two labels, which must be further down."""
        here = len(self.code)
        while here - if_true > 255 or here - if_false > 255:
            if here - if_true > 255:
                if_true = self.emit(_JA, here - if_true)
            elif here - if_false > 255:
                if_false = self.emit(_JA, here - if_false)
            here = len(self.code)
        return self.emit(code, k, here - if_true, here - if_false)

    def tests(self, tests: Sequence[Test], is_64bit: bool, if_true: int, if_false: int) -> int:
        for test in reversed(tests):
            if_true = self._test(test, is_64bit, if_true, if_false)
        return if_true

    def _test(self, test: Test, is_64bit: bool, if_true: int, if_false: int) -> int:
        op, is_64bit = test.op, is_64bit and not test.is_int
        if op in ("NE", "LT", "LE"):
            op = {"NE": "EQ", "LT": "GE", "LE": "GT"}[op]
            if_true, if_false = if_false, if_true
        low_at = _OFF_ARGS + 8 * test.argument
        if op == "MASKED_EQ":
            return self._masked(test, is_64bit, if_true, if_false)
        code = {"EQ": _JEQ, "GT": _JGT, "GE": _JGE}[op]
        label = self.jump(code, test.value & _MASK32, if_true, if_false)
        label = self.emit(_LD_ABS, low_at)
        if not is_64bit:
            return label
        high = test.value >> 32
        label = self.jump(_JEQ, high, label, if_false)
        if op != "EQ":
            label = self.jump(_JGT, high, if_true, label)
        return self.emit(_LD_ABS, low_at + 4)

    def _masked(self, test: Test, is_64bit: bool, if_true: int, if_false: int) -> int:
        label = if_true
        for shift in (0, 32) if is_64bit else (0,):
            mask, wanted = test.value >> shift & _MASK32, test.value_two >> shift & _MASK32
            if mask == wanted == 0:
                continue
            self.jump(_JEQ, wanted, label, if_false)
            self.emit(_AND, mask)
            label = self.emit(_LD_ABS, _OFF_ARGS + 8 * test.argument + shift // 8)
        return label

    def leaf(self, leaf: Leaf, is_64bit: bool) -> int:
        label = self.ret(leaf.ret)
        for branch in reversed(leaf.branches):
            label = self.tests(branch.tests, is_64bit, self.ret(branch.ret), label)
        return label

    def tree(self, ranges: Sequence[tuple[int, Leaf]], is_64bit: bool) -> int:
        if len(ranges) == 1:
            return self.leaf(ranges[0][1], is_64bit)
        middle = len(ranges) // 2
        above = self.tree(ranges[middle:], is_64bit)
        below = self.tree(ranges[:middle], is_64bit)
        return self.jump(_JGE, ranges[middle][0], above, below)


def assemble(sections: Sequence[Section], unknown_arch: int) -> bytes:
    """The program as an array of `struct sock_filter`. Raises ValueError past the kernel's 4096 instructions."""
    assembler = _Assembler()
    label = assembler.ret(unknown_arch)
    for section in reversed(sections):
        root = assembler.tree(section.ranges, section.is_64bit)
        if root != len(assembler.code):
            assembler.emit(_JA, len(assembler.code) - root)
        inside = assembler.emit(_LD_ABS, _OFF_NR)
        label = assembler.jump(_JEQ, section.audit_arch, inside, label)
    assembler.emit(_LD_ABS, _OFF_ARCH)
    if len(assembler.code) > 4096:
        raise ValueError(f"the seccomp profile needs {len(assembler.code)} instructions, the kernel takes 4096")
    pack = struct.Struct("=HBBI").pack
    return b"".join(pack(*instruction) for instruction in reversed(assembler.code))
