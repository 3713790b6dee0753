"""Forks by clone3, pidfds, capabilities' masks, descriptors over sockets, terminals: all that needs no privilege."""

import os
import signal
import socket
from pathlib import Path

import pytest

from corten.kernel import caps, fds, pty
from corten.kernel.process import clone, clone3, exit_info, pidfd_getfd, pidfd_open, pidfd_send_signal


@pytest.mark.parametrize("hooks", [True, False])
def test_clone3_forks_and_the_pidfd_is_the_childs(hooks: bool) -> None:
    pid, pidfd = clone3(0, hooks=hooks)
    if pid == 0:
        os._exit(7)
    try:
        assert os.waitpid(pid, 0) == (pid, 7 << 8)
        assert exit_info(pidfd) in (None, 7 << 8)  # None before Linux 6.15
    finally:
        os.close(pidfd)


def test_a_bare_fork_does_not_run_our_signal_handlers() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    try:
        pid, pidfd = clone3(0, hooks=False)
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(2)
    finally:
        signal.signal(signal.SIGTERM, before)
    os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM


def test_clone_forks_too() -> None:
    pid, pidfd = clone(0)
    if pid == 0:
        os._exit(8)
    os.close(pidfd)
    assert os.waitpid(pid, 0)[1] == 8 << 8


def test_a_signal_by_pidfd_and_a_copy_of_its_descriptor() -> None:
    reading, writing = os.pipe()
    pid, pidfd = clone3(0)
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        copy = pidfd_getfd(pidfd, reading)
        os.write(writing, b"x")
        assert os.read(copy, 1) == b"x"
        pidfd_send_signal(pidfd, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        for fd in (reading, writing, copy, pidfd):
            os.close(fd)


def test_a_pidfd_of_nobody() -> None:
    with pytest.raises(ProcessLookupError, match="pidfd_open"):
        pidfd_open(2**22 - 3)


def test_capability_masks() -> None:
    assert caps.CAPS["CAP_CHOWN"] == 0
    assert caps.CAPS["CAP_SYS_ADMIN"] == 21
    assert caps.CAPS["CAP_CHECKPOINT_RESTORE"] == 40
    assert caps.capability_mask(["CAP_CHOWN", "CAP_BPF"]) == 1 | 1 << 39
    with pytest.raises(KeyError):
        caps.capability_mask(["CAP_NONSENSE"])


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_a_message_carries_descriptors() -> None:
    one, other = pair()
    with one, other:
        reading, writing = os.pipe()
        fds.send_message(one, b"hello", [writing])
        os.close(writing)
        data, received = fds.recv_message(other, 100, 4)
        assert data == b"hello"
        assert not os.get_inheritable(received[0])
        os.write(received[0], b"y")
        assert os.read(reading, 1) == b"y"
        os.close(received[0])
        os.close(reading)
        one.close()
        assert fds.recv_message(other, 100, 4) == (b"", [])


@pytest.mark.parametrize(("size", "room"), [(100, 1), (2, 2)])
def test_a_message_cut_short_is_an_error_and_leaks_nothing(size: int, room: int) -> None:
    one, other = pair()
    with one, other:
        before = len(os.listdir("/proc/self/fd"))
        fds.send_message(one, b"hello", [0, 1])
        with pytest.raises(OSError, match="cut short"):
            fds.recv_message(other, size, room)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_terminal(tmp_path: Path) -> None:
    master, terminal = pty.open_pty()
    try:
        assert os.isatty(terminal)
        assert pty.pty_number(master) == int(os.ttyname(terminal).rpartition("/")[2])
        pty.set_window_size(master, 40, 120)
        assert pty.get_window_size(terminal) == (40, 120)
        os.write(terminal, b"out\n")
        assert os.read(master, 100) == b"out\r\n"
    finally:
        os.close(master)
        os.close(terminal)
