"""What this kernel, and the privileges of this process, offer: tried out, not guessed from version numbers.

Nothing outlives a probe: contexts and sockets are closed, and network devices are made in a namespace that ends with its thread.
Takes some milliseconds; for the daemon's start and for `info`.
"""

import errno
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from corten.kernel.caps import CAPS, get_capabilities
from corten.kernel.cgroup.files import find_text
from corten.kernel.cgroup.hierarchies import UNIFIED, detect
from corten.kernel.cgroup.support import supported_limits
from corten.kernel.libc import by_machine, failure, syscall
from corten.kernel.mount import FsContext
from corten.kernel.namespaces import CLONE_NEWNET, NAMESPACES, unshare
from corten.kernel.netlink.links import Inside, new_bridge, new_veth
from corten.kernel.netlink.socket import Netlink
from corten.kernel.nftables.batch import Chain, NftSocket, define_table

_NEW_EVERYWHERE = {
    "pidfd_send_signal": 424,  # Linux 5.1
    "open_tree": 428,  # 5.2
    "move_mount": 429,  # 5.2
    "fsopen": 430,  # 5.2
    "pidfd_open": 434,  # 5.3
    "clone3": 435,  # 5.3
    "close_range": 436,  # 5.9
    "openat2": 437,  # 5.6
    "pidfd_getfd": 438,  # 5.6
    "mount_setattr": 442,  # 5.12
}
_REQUIRED = frozenset(_NEW_EVERYWHERE) - {"mount_setattr"}
_BPF, _SECCOMP, _FANOTIFY_INIT = by_machine(321, 280), by_machine(317, 277), by_machine(300, 262)
_SECCOMP_GET_ACTION_AVAIL = 2
_FAN_CLASS_PRE_CONTENT, _FAN_CLOEXEC = 0x8, 0x1


class KernelFeatures(NamedTuple):
    """`has_*` mean "this process can use it here". `cgroup_version` 0 = none mounted; `controllers` are the cgroup controllers to be
    had, `limits` what can be limited (names of `cgroup.support.LIMITS`).

    `capabilities` are the effective ones, in kernel order; `syscalls` those of the newer calls that exist; `namespaces` OCI names.
    """

    release: str
    machine: str
    syscalls: frozenset[str]
    namespaces: frozenset[str]
    capabilities: tuple[str, ...]
    cgroup_version: int
    controllers: frozenset[str]
    limits: frozenset[str]
    has_device_programs: bool
    has_seccomp: bool
    has_overlay: bool
    has_bridge: bool
    has_veth: bool
    has_nftables: bool
    has_fanotify_content: bool
    has_apparmor: bool
    has_selinux: bool


def probe() -> KernelFeatures:
    """Tries everything out. Raises nothing: what fails is absent."""
    version, controllers, limits = _cgroups()
    network = _in_own_network_namespace(("bridge", _make_bridge), ("veth", _make_veth), ("nftables", _make_table))
    syscalls = frozenset(name for name, number in _NEW_EVERYWHERE.items() if _exists(number))
    lsm = find_text("/sys/kernel/security/lsm")
    return KernelFeatures(
        release=os.uname().release,
        machine=os.uname().machine,
        syscalls=syscalls,
        namespaces=frozenset(kind for kind, (_, name) in NAMESPACES.items() if os.path.exists(f"/proc/self/ns/{name}")),
        capabilities=held_capabilities(),
        cgroup_version=version,
        controllers=controllers,
        limits=limits,
        has_device_programs=_exists(_BPF),
        has_seccomp=_has_seccomp(),
        has_overlay=_has_overlay() or "overlay" in find_text("/proc/filesystems").split(),
        has_bridge="bridge" in network,
        has_veth="veth" in network,
        has_nftables="nftables" in network,
        has_fanotify_content=_has_fanotify_content(),
        has_apparmor="apparmor" in lsm or find_text("/sys/module/apparmor/parameters/enabled").startswith("Y"),
        has_selinux=os.path.exists("/sys/fs/selinux/enforce"),
    )


def missing(features: KernelFeatures) -> list[str]:
    """One sentence for each thing that the engine cannot do without and that is not there, with what to do about it."""
    checks = (
        (features.machine in ("x86_64", "aarch64"), f"Corten runs on x86_64 and aarch64, and this machine is {features.machine}."),
        ("CAP_SYS_ADMIN" in features.capabilities, "The daemon needs root (CAP_SYS_ADMIN): start it as root, or give it that capability."),
        (
            features.syscalls >= _REQUIRED,
            f"Linux 5.10 or newer is needed: {features.release} lacks {', '.join(sorted(_REQUIRED - features.syscalls))}.",
        ),
        (
            features.namespaces >= {"mount", "network", "pid", "ipc", "uts"},
            "The kernel lacks namespaces (CONFIG_NAMESPACES, PID_NS, NET_NS, IPC_NS, UTS_NS): containers cannot be isolated.",
        ),
        (features.cgroup_version > 0, "No cgroup file system is mounted: mount one (mount -t cgroup2 none /sys/fs/cgroup)."),
        (features.has_overlay, "The overlay file system is not there (CONFIG_OVERLAY_FS): load it with `modprobe overlay`."),
    )
    return [sentence for is_there, sentence in checks if not is_there]


def shortcomings(features: KernelFeatures) -> list[str]:
    """One sentence for each thing whose absence takes something away but stops nothing; for the log and `info`'s Warnings."""
    checks = (
        (features.has_seccomp, "No seccomp support: containers run without a system call filter."),
        (features.has_bridge and features.has_veth, "No bridge or veth devices: only the networks none and host work."),
        (features.has_nftables, "No nftables: containers on bridges reach nothing outside, and no port can be published."),
        ("memory" in features.limits, "No memory limit support"),
        ("swap" in features.limits, "No swap limit support"),
        ("cpu-shares" in features.limits, "No cpu shares support"),
        ("cpu-quota" in features.limits, "No cpu cfs quota support"),
        ("cpuset" in features.limits, "No cpuset support"),
        ("pids" in features.limits, "No pids limit support"),
        (
            "mount_setattr" in features.syscalls,
            "No mount_setattr (Linux 5.12): a read-only bind mount does not cover what is mounted below it, and none can be id-mapped.",
        ),
        ("user" in features.namespaces, "No user namespaces: --userns-remap does not work."),
        ("CAP_SYS_RESOURCE" in features.capabilities, "No CAP_SYS_RESOURCE: --ulimit can lower limits, not raise them."),
        (
            features.cgroup_version != 2 or features.has_device_programs,
            "No bpf(2): device access cannot be limited on cgroup v2, and unprivileged containers will not start.",
        ),
    )
    return [sentence for is_there, sentence in checks if not is_there]


def held_capabilities() -> tuple[str, ...]:
    """The effective capabilities of this process by name, in the kernel's order."""
    effective = get_capabilities()[0]
    return tuple(name for name, number in CAPS.items() if effective >> number & 1)


def _exists(number: int) -> bool:
    """Called with -1 (no such descriptor, no such address, an empty range) and zeros, none of these does anything."""
    return syscall(number, -1, 0, 0, 0, 0) >= 0 or failure("probe").errno != errno.ENOSYS


def _has_seccomp() -> bool:
    action = (0x7FFF0000).to_bytes(4, "little")
    return syscall(_SECCOMP, _SECCOMP_GET_ACTION_AVAIL, 0, action) == 0


def _has_fanotify_content() -> bool:
    """Permission events before reading, for lazily filled files: the group can be made; marks need Linux 6.14."""
    fd = syscall(_FANOTIFY_INIT, _FAN_CLASS_PRE_CONTENT | _FAN_CLOEXEC, os.O_RDWR)
    if fd < 0:
        return False
    os.close(fd)
    return _release_at_least(6, 14)


def _release_at_least(major: int, minor: int) -> bool:
    first, second, *_ = os.uname().release.split(".")
    digits = second[: next((i for i, c in enumerate(second) if not c.isdecimal()), len(second))]
    return (int(first), int(digits)) >= (major, minor)


def _has_overlay() -> bool:
    """Opening a context loads the module where it is one."""
    try:
        FsContext("overlay").close()
    except OSError:
        return False
    return True


def _cgroups() -> tuple[int, frozenset[str], frozenset[str]]:
    """(version, controllers, limits)."""
    try:
        hierarchies = detect()
    except OSError:
        return 0, frozenset(), frozenset()
    if hierarchies.version == 1:
        controllers = frozenset(name for name in hierarchies.roots if name != UNIFIED and "=" not in name)
    else:
        controllers = frozenset(find_text(f"{hierarchies.roots[UNIFIED]}/cgroup.controllers").split())
    try:
        return hierarchies.version, controllers, supported_limits(hierarchies)
    except OSError:
        return hierarchies.version, controllers, frozenset()


def _in_own_network_namespace(*attempts: tuple[str, Callable[[], None]]) -> set[str]:
    """The names of the attempts that work in a network namespace of their own. It belongs to a thread, and ends with it."""
    worked: set[str] = set()

    def body() -> None:
        try:
            unshare(CLONE_NEWNET)
        except OSError:
            return
        for name, attempt in attempts:
            try:
                attempt()
                worked.add(name)
            except OSError:
                continue

    thread = threading.Thread(target=body, name="probe")
    thread.start()
    thread.join()
    return worked


def _make_bridge() -> None:
    with Netlink() as netlink:
        netlink.run([new_bridge("corten-probe")])


def _make_veth() -> None:
    with Netlink() as netlink:
        netlink.run([new_veth("corten-veth", Inside(name="corten-peer"))])


def _make_table() -> None:
    nft = NftSocket()
    try:
        nft.run(define_table("corten-probe", [], [Chain(name="nat", hook="postrouting", priority=100, kind="nat")]))
    finally:
        nft.close()
