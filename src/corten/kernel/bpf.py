"""bpf(2) for cgroup device programs: load, attach, detach, query. Layouts from linux/bpf.h (`union bpf_attr`)."""

import ctypes
import struct
from typing import NamedTuple

from corten.kernel.libc import by_machine, check, syscall

_NR_BPF = by_machine(321, 280)

PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = 5, 8, 9, 13, 16
PROG_TYPE_CGROUP_DEVICE = 15
ATTACH_CGROUP_DEVICE = 6
F_ALLOW_MULTI = 2
_LICENSE = b"Apache-2.0\0"


class Instruction(NamedTuple):
    """One eBPF instruction: `struct bpf_insn`."""

    code: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    def pack(self) -> bytes:
        return struct.pack("=BBhi", self.code, self.dst | self.src << 4, self.off, self.imm)


def _bpf(command: int, attributes: bytes, path: str = "") -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = check(syscall(_NR_BPF, command, ctypes.byref(buffer), len(attributes)), "bpf", path)
    return result, buffer.raw


def load_device_program(program: list[Instruction]) -> int:
    """The descriptor of a verified program. OSError carries the end of the verifier's log when it refuses."""
    code = b"".join(instruction.pack() for instruction in program)
    insns = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(_LICENSE)
    head = struct.pack("=IIQQ", PROG_TYPE_CGROUP_DEVICE, len(program), ctypes.addressof(insns), ctypes.addressof(license_))
    try:
        return _bpf(PROG_LOAD, head + struct.pack("=IIQII16s", 0, 0, 0, 0, 0, b"corten_devices"))[0]
    except OSError:
        pass
    log = ctypes.create_string_buffer(1 << 16)
    try:
        return _bpf(PROG_LOAD, head + struct.pack("=IIQII16s", 1, len(log), ctypes.addressof(log), 0, 0, b"corten_devices"))[0]
    except OSError as error:
        raise OSError(error.errno, f"the kernel refused the device program: {log.value.decode(errors='replace')[-500:]}") from error


def attach(cgroup_fd: int, program_fd: int) -> None:
    """Adds the program to those of the cgroup (all of them must agree before a device is opened)."""
    _bpf(PROG_ATTACH, struct.pack("=IIIII", cgroup_fd, program_fd, ATTACH_CGROUP_DEVICE, F_ALLOW_MULTI, 0))


def detach(cgroup_fd: int, program_fd: int) -> None:
    _bpf(PROG_DETACH, struct.pack("=IIIII", cgroup_fd, program_fd, ATTACH_CGROUP_DEVICE, 0, 0))


def attached(cgroup_fd: int) -> list[int]:
    """Descriptors (owned by the caller) of the device programs attached to this very cgroup, at most 64."""
    ids = (ctypes.c_uint32 * 64)()
    query = struct.pack("=IIIIQI4x", cgroup_fd, ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), len(ids))
    _, answer = _bpf(PROG_QUERY, query)
    count = struct.unpack("=IIIIQI4x", answer)[5]
    fds: list[int] = []
    for number in ids[:count]:
        fds.append(_bpf(PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))[0])
    return fds
