"""Processes: clone3(2), pidfds, prctl(2), and the scheduling calls that Python lacks."""

import ctypes
import fcntl
import os
import signal
import struct

from corten.kernel.libc import by_machine, check, libc, pylibc, syscall

CLONE_PARENT = 0x00008000
CLONE_PIDFD = 0x00001000
CLONE_CLEAR_SIGHAND = 0x100000000  # Linux 5.5
CLONE_INTO_CGROUP = 0x200000000  # Linux 5.7

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

_SYS_CLONE = by_machine(56, 220)
_SYS_RT_SIGACTION = by_machine(13, 134)
_LAST_SIGNAL = 64
_UNCHANGEABLE = frozenset((signal.SIGKILL, signal.SIGSTOP))
_DEFAULT_ACTION = ctypes.create_string_buffer(32)  # struct kernel_sigaction: SIG_DFL is 0
_SYS_CLONE3 = 435  # Linux 5.3
_SYS_PIDFD_OPEN = 434  # Linux 5.3
_SYS_PIDFD_SEND_SIGNAL = 424  # Linux 5.1
_SYS_PIDFD_GETFD = 438  # Linux 5.6
_SYS_IOPRIO_SET = by_machine(251, 30)
_SYS_SCHED_SETATTR = by_machine(314, 274)
_SYS_KEYCTL = by_machine(250, 219)

_PIDFD_GET_INFO = 0xC040FF0B  # Linux 6.13, with the exit status from 6.15; _IOWR(0xFF, 11, 64 bytes)
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO_LENGTH = 64
_PIDFD_INFO_EXIT_CODE_OFFSET = 60

_raw_syscall = pylibc.syscall
_raw_syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6
_raw_syscall.restype = ctypes.c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
_prctl = libc.prctl
_prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_personality = libc.personality
_personality.argtypes = [ctypes.c_ulong]


def clone3(flags: int, *, cgroup_fd: int = -1, exit_signal: int = signal.SIGCHLD, hooks: bool = True) -> tuple[int, int]:
    """Fork with `flags` (CLONE_NEW*, CLONE_PARENT); returns (pid, pidfd) in the parent and (0, -1) in the child.

    The pidfd is the caller's, close-on-exec. With `cgroup_fd` (a cgroup v2 directory) the child is born there.
    Only for single-threaded processes: the interpreter lock stays held across the call. CLONE_PARENT wants exit_signal 0.
    `hooks` False leaves the interpreter's own fork hooks out: for a child that soon execs or exits and starts no thread. They
    touch 180 pages in the child, a third of a fork's 1.1 ms. Such a child has no signal handlers either (CLONE_CLEAR_SIGHAND): ours
    are about our own children and descriptors.
    """
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD
    if cgroup_fd >= 0:
        flags |= CLONE_INTO_CGROUP
    where = ctypes.addressof(pidfd)
    arguments = (ctypes.c_uint64 * 11)(flags, where, 0, 0, exit_signal, 0, 0, 0, 0, 0, max(cgroup_fd, 0))
    if hooks:
        _before_fork()
    else:
        arguments[0] |= CLONE_CLEAR_SIGHAND
    pid: int = _raw_syscall(_SYS_CLONE3, arguments, 88, 0, 0, 0, 0)
    if pid == 0:
        if hooks:
            _after_fork_child()
        return 0, -1
    failed = ctypes.get_errno()
    if hooks:
        _after_fork_parent()
    if pid < 0:
        raise OSError(failed, f"clone3: {os.strerror(failed)}")
    return pid, pidfd.value


def clone(flags: int, *, exit_signal: int = signal.SIGCHLD) -> tuple[int, int]:
    """`clone3` without hooks by the older clone(2), for a process whose seccomp filter answers ENOSYS to clone3."""
    pidfd = ctypes.c_int(-1)
    pid: int = _raw_syscall(_SYS_CLONE, flags | CLONE_PIDFD | exit_signal, 0, ctypes.addressof(pidfd), 0, 0, 0)
    return check(pid, "clone"), pidfd.value


def pidfd_open(pid: int, flags: int = 0) -> int:
    return check(syscall(_SYS_PIDFD_OPEN, pid, flags), "pidfd_open")


def pidfd_send_signal(pidfd: int, sig: int) -> None:
    check(syscall(_SYS_PIDFD_SEND_SIGNAL, pidfd, sig, None, 0), "pidfd_send_signal")


def pidfd_getfd(pidfd: int, targetfd: int) -> int:
    """A copy of another process' fd (close-on-exec). Needs the right to ptrace it."""
    return check(syscall(_SYS_PIDFD_GETFD, pidfd, targetfd, 0), "pidfd_getfd")


def exit_info(pidfd: int) -> int | None:
    """The wait status of a process that has been reaped, even by another parent; None if it lives or the kernel is older than 6.15."""
    record = bytearray(_PIDFD_INFO_LENGTH)
    struct.pack_into("Q", record, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, record)
    except OSError:
        return None
    if not struct.unpack_from("Q", record, 0)[0] & _PIDFD_INFO_EXIT:
        return None
    status: int = struct.unpack_from("i", record, _PIDFD_INFO_EXIT_CODE_OFFSET)[0]
    return status


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    return check(_prctl(option, arg2, arg3, arg4, arg5), "prctl")


def prctl_set_name(name: str) -> None:
    """The 15-byte name that ps and top show (comm)."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def prctl_set_pdeathsig(sig: int) -> None:
    prctl(PR_SET_PDEATHSIG, sig)


def prctl_set_dumpable(on: bool) -> None:
    """Not dumpable: /proc/PID belongs to root of the initial user namespace, and ptrace needs privilege over that one."""
    prctl(PR_SET_DUMPABLE, int(on))


def prctl_set_no_new_privs() -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def default_signals() -> None:
    """Every signal at its default action, the two that libc keeps for itself (32 and 33) too, which signal(2) would refuse.

    What this process's starter ignored (a shell's `&`: SIGINT and SIGQUIT; nohup: SIGHUP) would go through an exec.
    """
    for number in range(1, _LAST_SIGNAL + 1):
        if number not in _UNCHANGEABLE:
            check(syscall(_SYS_RT_SIGACTION, number, ctypes.byref(_DEFAULT_ACTION), None, 8), "rt_sigaction")


def set_child_subreaper(on: bool = True) -> None:
    """Orphaned descendants get this process as their parent."""
    prctl(PR_SET_CHILD_SUBREAPER, int(on))


def personality(persona: int) -> None:
    check(_personality(persona), "personality")


def ioprio_set(which: int, who: int, ioprio: int) -> None:
    check(syscall(_SYS_IOPRIO_SET, which, who, ioprio), "ioprio_set")


def sched_setattr(pid: int, attributes: bytes) -> None:
    """`attributes` is a struct sched_attr whose first field is its own size."""
    check(syscall(_SYS_SCHED_SETATTR, pid, attributes, 0), "sched_setattr")


def join_session_keyring(name: str) -> None:
    """A session keyring of one's own (KEYCTL_JOIN_SESSION_KEYRING), so that the starter's keys are out of reach."""
    check(syscall(_SYS_KEYCTL, 1, name.encode() + b"\0"), "keyctl")
