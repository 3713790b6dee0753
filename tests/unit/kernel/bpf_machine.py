"""Two interpreters, so that programs are tested by running them: classic BPF as in seccomp, and the eBPF of device programs."""

import struct
from collections.abc import Sequence

from corten.kernel.bpf import Instruction


def run_seccomp(program: bytes, arch: int, number: int, args: Sequence[int] = ()) -> tuple[int, int]:
    """(what the filter returns, instructions executed) for one system call."""
    padded = [*args, *(0,) * (6 - len(args))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = steps = 0
    while True:
        opcode, jump_true, jump_false, k = code[at]
        at += 1
        steps += 1
        if opcode == 0x06:
            return k, steps
        if opcode == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif opcode == 0x54:
            accumulator &= k
        elif opcode == 0x05:
            at += k
        else:
            holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}[opcode]
            at += jump_true if holds else jump_false


def run_device(program: Sequence[Instruction], kind: int, access: int, major: int, minor: int) -> int:
    """What the device program answers. Asserts that no instruction is beyond reach, as the kernel's verifier does."""
    assert unreachable(program) == []
    memory = {0: access << 16 | kind, 4: major, 8: minor}
    registers = [0] * 6
    at = 0
    while True:
        step = program[at]
        at += 1
        operand = registers[step.src] if step.code & 0x08 else step.imm
        match step.code:
            case 0x95:
                return registers[0]
            case 0x61:
                registers[step.dst] = memory[step.off]
            case 0x54 | 0x57:
                registers[step.dst] &= operand
            case 0x74:
                registers[step.dst] >>= operand
            case 0xB7 | 0xBF:
                registers[step.dst] = operand
            case 0x15:
                at += step.off if registers[step.dst] == operand else 0
            case 0x55 | 0x5D:
                at += step.off if registers[step.dst] != operand else 0
            case _:
                raise AssertionError(f"unknown instruction {step}")


def unreachable(program: Sequence[Instruction]) -> list[int]:
    """Indices that no path leads to."""
    seen: set[int] = set()
    todo = [0]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        code = program[at].code
        if code == 0x95:
            continue
        todo.append(at + 1)
        if code & 0x07 == 0x05:
            todo.append(at + 1 + program[at].off)
    return sorted(set(range(len(program))) - seen)
