"""Starts a program in network and mount namespaces of its own: `python -m tests.support.isolated [--join PID] PROGRAM ARGS…`.

A daemon under test so has its own bridge, firewall and mount table: it disturbs nobody, and what it leaks can be counted.
With `--join` it enters the namespaces of a process that is there: a daemon that is started again on what the first one left.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def main(arguments: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if arguments[0] == "--join":
        join(libc, int(arguments[1]))
        arguments = arguments[2:]
    else:
        check(libc.unshare(CLONE_NEWNET | CLONE_NEWNS))
        check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
        bring_up_loopback()
    os.execvp(arguments[0], arguments)


def join(libc: ctypes.CDLL, pid: int) -> None:
    for name, flag in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS)):
        with open(f"/proc/{pid}/ns/{name}", "rb") as namespace:
            check(libc.setns(namespace.fileno(), flag))


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))


def check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(sys.argv[1:])
