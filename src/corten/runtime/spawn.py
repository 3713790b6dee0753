"""Forking into namespaces that are new, that exist already, or a mix of both."""

import os
from collections.abc import Callable
from typing import NoReturn

from corten.errors import EngineError
from corten.kernel import namespaces as ns
from corten.kernel.process import CLONE_PARENT, clone3
from corten.runtime.channel import FORKED, Channel, open_channel
from corten.runtime.config.mount_options import IdMapping
from corten.runtime.config.plan import NamespacePlan
from corten.runtime.init.join import enter_namespace

_BY_UNSHARE = ns.CLONE_NEWCGROUP | ns.CLONE_NEWTIME  # the child does these itself, at its own moment


def spawn(plan: NamespacePlan, run: Callable[[], NoReturn], *, cgroup_fd: int = -1) -> tuple[int, int]:
    """(pid, pidfd) of a child of the caller that is in the planned user, pid and new namespaces and does `run`.

    Other namespaces to join are the child's to join. A user namespace that exists must be entered before others are made, and a
    pid namespace holds only children of who entered it: then a go-between forks for us and the child is born our own all the same.
    """
    user, pid = plan.path("user"), plan.path("pid")
    if user is not None:
        return _spawn_between(plan, run, user, pid)
    if pid is not None:
        with _Descendants(pid):
            return _fork(plan.new, run, cgroup_fd)
    return _fork(plan.new, run, cgroup_fd)


class _Descendants:
    """While it is held, the caller's children are born in the pid namespace of `path`; the caller itself stays where it is."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter_namespace(self._path, "pid")
        except EngineError:
            os.close(self._own)
            raise

    def __exit__(self, *exc: object) -> None:
        try:
            ns.setns(self._own, ns.CLONE_NEWPID)
        finally:
            os.close(self._own)


def _fork(flags: int, run: Callable[[], NoReturn], cgroup_fd: int = -1) -> tuple[int, int]:
    pid, pidfd = clone3(flags & ~_BY_UNSHARE, cgroup_fd=cgroup_fd, hooks=False)
    if pid == 0:
        run()
    return pid, pidfd


def _spawn_between(plan: NamespacePlan, run: Callable[[], NoReturn], user: str, pid_path: str | None) -> tuple[int, int]:
    ours, theirs = open_channel()
    go_between, go_between_fd = clone3(0, hooks=False)
    if go_between == 0:
        _between(theirs, plan, run, user, pid_path)
    theirs.close()
    os.close(go_between_fd)
    try:
        pid, fds = ours.receive(FORKED, 1)
    finally:
        ours.close()
        os.waitpid(go_between, 0)
    return pid, fds[0]


def _between(channel: Channel, plan: NamespacePlan, run: Callable[[], NoReturn], user: str, pid_path: str | None) -> NoReturn:
    try:
        enter_namespace(user, "user")
        if pid_path is not None:
            enter_namespace(pid_path, "pid")
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        pid, pidfd = clone3(plan.new & ~_BY_UNSHARE | CLONE_PARENT, exit_signal=0, hooks=False)
        if pid == 0:
            channel.close()
            run()
        channel.send(FORKED, pid, [pidfd])
    except EngineError as e:
        channel.fail(e)
    except OSError as e:
        channel.fail(EngineError(str(e), reason="init-failed"))
    finally:
        os._exit(0)


def write_id_maps(pid: int, uids: tuple[IdMapping, ...], gids: tuple[IdMapping, ...]) -> None:
    """The maps of a new user namespace; each file is written once, whole. Needs CAP_SETUID and CAP_SETGID out here.

    Who has neither may map just itself, and must give up setgroups(2) for it: user_namespaces(7).
    """
    if os.geteuid() != 0:
        _write(f"/proc/{pid}/setgroups", "deny")
    for name, mappings in (("uid_map", uids), ("gid_map", gids)):
        text = "".join(f"{m.container_id} {m.host_id} {m.size}\n" for m in mappings)
        try:
            _write(f"/proc/{pid}/{name}", text)
        except OSError as e:
            raise EngineError(f"writing {name} of the user namespace: {e}", reason="id-map-failed") from e


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def open_mapped_namespace(uids: tuple[IdMapping, ...], gids: tuple[IdMapping, ...]) -> int:
    """An fd on a user namespace that has these maps and nobody in it: what an id-mapped mount wants."""
    ours, theirs = open_channel()
    pid, pidfd = clone3(ns.CLONE_NEWUSER, hooks=False)
    if pid == 0:
        ours.close()
        theirs.sock.recv(1)
        os._exit(0)
    try:
        theirs.close()
        write_id_maps(pid, uids, gids)
        return ns.open_namespace("user", pid)
    finally:
        ours.close()
        os.waitpid(pid, 0)
        os.close(pidfd)
