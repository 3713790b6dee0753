"""Namespaces: their flags, unshare(2), setns(2). Python has these from 3.12 on; 3.11 is supported."""

import os

from corten.kernel.libc import check, libc

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# OCI runtime-spec names -> (clone flag, name under /proc/PID/ns).
NAMESPACES = {
    "user": (CLONE_NEWUSER, "user"),
    "mount": (CLONE_NEWNS, "mnt"),
    "uts": (CLONE_NEWUTS, "uts"),
    "ipc": (CLONE_NEWIPC, "ipc"),
    "network": (CLONE_NEWNET, "net"),
    "pid": (CLONE_NEWPID, "pid"),
    "cgroup": (CLONE_NEWCGROUP, "cgroup"),
    "time": (CLONE_NEWTIME, "time"),
}


def unshare(flags: int) -> None:
    check(libc.unshare(flags), "unshare")


def setns(fd: int, nstype: int) -> None:
    """Join the namespace of an nsfs fd, or (with several flags) those of the process of a pidfd (Linux 5.8)."""
    check(libc.setns(fd, nstype), "setns")


def setdomainname(name: str) -> None:
    """The NIS domain name of the UTS namespace."""
    encoded = name.encode()
    check(libc.setdomainname(encoded, len(encoded)), "setdomainname")


def open_namespace(kind: str, pid: int | str = "self") -> int:
    """An fd on a process' namespace; `kind` is the OCI name ("mount", "network", ...)."""
    return os.open(f"/proc/{pid}/ns/{NAMESPACES[kind][1]}", os.O_RDONLY | os.O_CLOEXEC)


def same_namespace(kind: str, pid: int) -> bool:
    """Whether this process and `pid` are in the same namespace of that kind."""
    name = NAMESPACES[kind][1]
    mine, other = os.stat(f"/proc/self/ns/{name}"), os.stat(f"/proc/{pid}/ns/{name}")
    return (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino)
