"""Capabilities as bit masks: names, capget(2)/capset(2), the bounding and the ambient set."""

import ctypes
import errno
from collections.abc import Iterable

from corten.kernel import process
from corten.kernel.libc import check, failure, libc

_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""  # in the kernel's order: include/uapi/linux/capability.h
CAPS = {f"CAP_{name}": number for number, name in enumerate(_NAMES.split())}

_VERSION_3 = 0x20080522


def last_cap() -> int:
    """The highest capability number that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as f:
        return int(f.read())


def capability_mask(names: Iterable[str]) -> int:
    """The bits of `names`; a name that the table lacks is a KeyError."""
    mask = 0
    for name in names:
        mask |= 1 << CAPS[name]
    return mask


def get_capabilities() -> tuple[int, int, int]:
    """(effective, permitted, inheritable) of this thread."""
    header, data = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    check(libc.capget(header, data), "capget")
    low, high = data[:3], data[3:]
    return (low[0] | high[0] << 32, low[1] | high[1] << 32, low[2] | high[2] << 32)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (effective, permitted, inheritable)
    data = (ctypes.c_uint32 * 6)(*(s & 0xFFFFFFFF for s in sets), *(s >> 32 for s in sets))
    check(libc.capset(header, data), "capset")


def drop_bounding(keep: int) -> None:
    """Take every capability outside `keep` from the bounding set. Needs CAP_SETPCAP; do it before the user changes."""
    drop = process.PR_CAPBSET_DROP
    for number in range(64):
        if not keep >> number & 1 and libc.prctl(drop, number, 0, 0, 0) < 0:
            if ctypes.get_errno() == errno.EINVAL:  # past the last one
                return
            raise failure("prctl(PR_CAPBSET_DROP)")


def set_ambient(mask: int) -> None:
    """Clear the ambient set and raise `mask`; a bit that is not permitted and inheritable cannot be raised and is left out."""
    process.prctl(process.PR_CAP_AMBIENT, process.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(mask.bit_length()):
        if mask >> number & 1:
            try:
                process.prctl(process.PR_CAP_AMBIENT, process.PR_CAP_AMBIENT_RAISE, number)
            except PermissionError:
                pass


def set_capabilities(effective: int, permitted: int, *, inheritable: int, bounding: int, ambient: int) -> None:
    """All five sets at once, for a process that keeps its user."""
    drop_bounding(bounding)
    capset(effective, permitted, inheritable)
    set_ambient(ambient)
