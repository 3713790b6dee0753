"""Seccomp filters for real, each installed in a forked child."""

import ctypes
import errno
import os
import socket

import pytest

from corten.engine.spec.seccomp import default_profile
from corten.kernel import seccomp
from corten.kernel.libc import MACHINE, syscall
from corten.kernel.process import PR_SET_NO_NEW_PRIVS, prctl
from corten.kernel.syscalls import syscall_table
from tests.support.forked import ChildFailed, forked

pytestmark = pytest.mark.privileged
NUMBERS = syscall_table(MACHINE)


def attempt(number: int, *args: int) -> int:
    """0, or the errno of a system call."""
    ctypes.set_errno(0)
    return ctypes.get_errno() if syscall(number, *args) < 0 else 0


def under(profile: seccomp.Profile, *calls: tuple[int, ...]) -> list[int]:
    program = seccomp.compile_profile(profile, MACHINE)

    def body() -> list[int]:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(program, seccomp.filter_flags(profile))
        return [attempt(*call) for call in calls]

    return forked(body)


def test_the_default_profile_holds() -> None:
    nr = NUMBERS
    answers = under(
        default_profile(["CAP_CHOWN"], MACHINE),
        (nr["getpid"],),
        (nr["unshare"], 0x10000000),
        (nr["clone3"], 0, 0),
        (nr["clone"], 0x10000000),
        (nr["mount"], 0, 0, 0, 0, 0),
        (nr["chroot"], 0),
        (nr["personality"], 0xFFFFFFFF),
        (nr["personality"], 4),
        (nr["socket"], 40, 1, 0),
        (nr["socket"], 38, 5, 0),
        (nr["socket"], socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (nr["keyctl"], 0),
        (999,),
        (nr["listns"],),
    )
    allowed, refused, absent = 0, errno.EPERM, errno.ENOSYS
    expected = [allowed, refused, absent, refused, refused, refused, allowed, refused, refused, refused, allowed, refused, absent, absent]
    assert answers == expected


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is an x86_64 affair")
def test_x32_does_not_exist() -> None:
    assert under(default_profile([], MACHINE), (0x40000000 | NUMBERS["getpid"],)) == [errno.ENOSYS]
    assert under({"defaultAction": "SCMP_ACT_ALLOW"}, (0x40000000 | NUMBERS["getpid"],)) == [errno.ENOSYS]


def test_capabilities_open_calls() -> None:
    calls = [(NUMBERS[name], -1, 0, 0, 0, 0) for name in ("unshare", "setns", "mount", "fsopen")]
    assert errno.EPERM in under(default_profile([], MACHINE), *calls)
    granted = under(default_profile(["CAP_SYS_ADMIN"], MACHINE), *calls)
    assert granted[0] == errno.EINVAL
    assert granted[1] == errno.EBADF


def test_killing_is_killing() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}]}
    with pytest.raises(ChildFailed, match="signal 31"):
        under(profile, (NUMBERS["getppid"],))


def test_programs_still_run() -> None:
    program = seccomp.compile_profile(default_profile([], MACHINE), MACHINE)

    def body() -> int:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(program, seccomp.FLAG_LOG)
        return os.waitstatus_to_exitcode(os.system("python3 -c 'import threading, os; threading.Thread(target=os.getpid).start()'"))

    assert forked(body) == 0


def test_a_listener_is_handed_out() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}]}
    program = seccomp.compile_profile(profile, MACHINE)

    def body() -> bool:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        return os.readlink(f"/proc/self/fd/{seccomp.install(program, seccomp.FLAG_NEW_LISTENER)}") == "anon_inode:seccomp notify"

    assert forked(body)


def test_without_privilege_it_is_refused() -> None:
    program = seccomp.compile_profile({"defaultAction": "SCMP_ACT_ALLOW"}, MACHINE)

    def body() -> int:
        os.setuid(65534)
        try:
            seccomp.install(program)
        except OSError as error:
            return error.errno or -1
        return 0

    assert forked(body) == errno.EACCES
