"""Creating a container: the parent's half. The child's is in `init.sequence`, the talk between them in `channel`."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from corten.errors import Conflict, EngineError
from corten.kernel.cgroup import Cgroup, Hierarchies
from corten.kernel.process import pidfd_send_signal
from corten.runtime.channel import CGROUP, HOOKS_DONE, MAPPED, MOUNTED, NOTIFY, READY, START, Channel, ChannelClosed, open_channel
from corten.runtime.config.plan import InitPlan
from corten.runtime.hooks import run_hooks
from corten.runtime.init import limits
from corten.runtime.init.sequence import Inheritance, Init
from corten.runtime.notify import hand_over
from corten.runtime.rootfs.mounts import open_source
from corten.runtime.rootfs.tree import open_root
from corten.runtime.spawn import open_mapped_namespace, spawn, write_id_maps
from corten.runtime.state import OCI_VERSION, ContainerState, process_start_time
from corten.runtime.values import Stdio


class Created:
    """A container whose first process is set up and waits. The caller is its parent, owns the fds below, and reaps it.

    `start` makes it run the user's program. `console_fd` is the master of its terminal, None without one.
    """

    def __init__(self, state: ContainerState, channel: Channel, pidfd: int, console_fd: int | None, undo: ExitStack) -> None:
        self.state = state
        self.pid = state["pid"]
        self.pidfd = pidfd
        self.console_fd = console_fd
        self.warnings: list[str] = []
        self._channel = channel
        self._undo = undo

    def start(self) -> None:
        """Returns when the user's program runs. When it cannot be executed, or a startContainer hook fails, the container is

        removed again (process reaped, cgroup and state gone, fds closed) and the error raised.
        """
        try:
            self._channel.send(START)
            await_exec(self._channel, self.state)
        except EngineError:
            self._undo.close()
            raise
        self._undo.pop_all()
        self._channel.close()
        self.warnings += run_poststart(self.state)

    def abandon(self) -> None:
        """Give up a container that was not started: as after a failed `start`."""
        self._undo.close()


def run_poststart(state: ContainerState) -> list[str]:
    """The spec has a failure here logged and passed over: it comes back as a warning."""
    try:
        run_hooks("poststart", state["hooks"].get("poststart") or [], oci_state(state, "running"))
    except EngineError as e:
        return [e.message]
    return []


def start_by_socket(state: ContainerState, path: str) -> list[str]:
    """`Created.start` for who did not create it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as sock:
        try:
            with _directory_of(path) as short:
                os.rename(short, f"{short}.taken")  # of two who start at once one finds it gone
                sock.connect(f"{short}.taken")
        except (FileNotFoundError, ConnectionRefusedError):
            raise Conflict("cannot start a container that is not created, or was started already", reason="not-created") from None
        channel = Channel(sock)
        channel.send(START)
        await_exec(channel, state)
    return run_poststart(state)


def await_exec(channel: Channel, state: ContainerState) -> None:
    """Wait until the child's end of the channel closes at exec; raise what it reports before."""
    while True:
        try:
            body, fds = channel.receive(NOTIFY, 1)
        except ChannelClosed:
            return
        deliver_notice({**body, "pid": state["pid"]}, fds, state)


def deliver_notice(notice: dict[str, Any], fds: list[int], state: ContainerState) -> None:
    """Pass a seccomp listener on, and let go of it."""
    try:
        hand_over(fds[0], notice, oci_state(state, "running"))
    finally:
        os.close(fds[0])


def oci_state(state: ContainerState, status: str) -> dict[str, Any]:
    """The state document of the spec, as hooks get it and `state` prints it."""
    document = {"ociVersion": OCI_VERSION, "id": state["id"], "status": status, "bundle": state["bundle"]}
    if status != "stopped":
        document["pid"] = state["pid"]  # type: ignore[assignment]
    return {**document, "annotations": state["annotations"]} if state["annotations"] else document


class Creation:
    """One run of create: what is acquired enters `undo` at once and leaves when a later step fails."""

    def __init__(self, state: ContainerState, plan: InitPlan, io: Stdio, *, cgroup: Cgroup | None, hierarchies: Hierarchies | None) -> None:
        self.state = state
        self.plan = plan
        self.io = io
        self.cgroup = cgroup
        self.hierarchies = hierarchies
        self.hooks: dict[str, Any] = plan.spec.get("hooks") or {}
        self.warnings: list[str] = []
        self.undo = ExitStack()
        if cgroup is not None:
            self.undo.callback(_forget_cgroup, cgroup)

    def on_failure(self, undo: Callable[..., None], *args: str) -> None:
        """To be done last when something fails."""
        self.undo.callback(undo, *args)

    def run(self, save: Callable[[ContainerState], None], socket_path: str) -> Created:
        """`save` stores the state once the process is ready; `socket_path` is where it listens if others are to start it."""
        try:
            return self._run(save, socket_path)
        except (EngineError, OSError):
            self.undo.close()
            raise

    def _run(self, save: Callable[[ContainerState], None], socket_path: str) -> Created:
        ours, theirs = open_channel()
        self.undo.callback(ours.close)
        entry = self._make_cgroup() if self._is_born_inside() else []
        with ExitStack() as handed:  # what only the child needs from now on
            handed.callback(theirs.close)
            inherited = Inheritance(theirs, self.io)
            self._open_for_child(inherited, handed)
            if self.plan.options.wait_on_socket:
                inherited.listener = handed.enter_context(_listen(socket_path))
            init = Init(self.plan, inherited, self.hierarchies if self.cgroup else None, oci_state(self.state, "creating"))
            pid, pidfd = spawn(self.plan.namespaces, init.run, cgroup_fd=entry[0] if entry else -1)
        self.undo.callback(_end_process, pid, pidfd)
        self.state["pid"] = pid
        self.state["pid_start"] = process_start_time(pid)[0]
        self.state["created"] = time.time_ns()
        self._equip(pid, ours, entry)
        save(self.state)
        if self.hooks.get("prestart") or self.hooks.get("createRuntime"):
            self._run_runtime_hooks(ours)
        ready, fds = ours.receive(READY, 1)
        if "user" in self.plan.namespaces.created:
            ready["warnings"] += limits.set_rlimits(limits.parse_rlimits(self.plan.spec["process"].get("rlimits") or []), pid)
        console_fd = fds[0] if fds else None
        if console_fd is not None:
            self.undo.callback(os.close, console_fd)
        created = Created(self.state, ours, pidfd, console_fd, self.undo.pop_all())
        created.warnings += [*self.warnings, *ready["warnings"]]
        return created

    def _open_for_child(self, inherited: Inheritance, handed: ExitStack) -> None:
        """A child in a user namespace can neither mount the overlay nor reach every bind source; id-mapped mounts are ours too."""
        in_user = "user" in self.plan.namespaces.kinds and os.geteuid() == 0  # without privileges only the child can do it
        sources: dict[int, int] = {}
        for index, plan in enumerate(self.plan.mounts):
            if not plan.bind or not (in_user or plan.idmap):
                continue
            userns = -1
            try:
                if plan.idmap:
                    maps = (plan.uid_mappings or self.plan.uid_mappings, plan.gid_mappings or self.plan.gid_mappings)
                    userns = open_mapped_namespace(*maps)
                    handed.callback(os.close, userns)
                sources[index] = open_source(plan, userns)
            except OSError as e:
                if plan.idmap and e.errno == errno.EINVAL:
                    told = f"error {plan}: its file system cannot map ids, or the mount is id-mapped already"
                    raise EngineError(told, reason="mount-failed", hint="mount it without id mapping (without --as-me)") from e
                raise EngineError(f"error {plan}: {e}", reason="mount-failed") from e
            handed.callback(os.close, sources[index])
        inherited.sources = sources
        if in_user:
            inherited.root_tree = open_root(self.plan.options.root_mounts, self.plan.rootfs)
            handed.callback(os.close, inherited.root_tree)

    def _is_born_inside(self) -> bool:
        """On v2 the child is cloned into its cgroup. On v1 it enters by itself, and the directories are made while it mounts; so does one
        with a cpuset, which CLONE_INTO_CGROUP leaves its parent's processors and memory nodes before Linux 6.4."""
        cpu = self.plan.resources.get("cpu") or {}
        has_cpuset = bool(cpu.get("cpus") or cpu.get("mems"))
        is_v2 = self.hierarchies is not None and self.hierarchies.version == 2
        return is_v2 and not has_cpuset and self.plan.namespaces.path("user") is None

    def _make_cgroup(self) -> list[int]:
        """The cgroup with its limits; fds to enter it by. It goes when something fails, after the process that is in it."""
        if self.cgroup is None:
            return []
        try:
            self.cgroup.create(self.plan.resources)
            return self.cgroup.entry_fds()
        except PermissionError as e:
            if os.geteuid() == 0:
                raise EngineError(f"making the cgroup: {e}", reason="cgroup-failed") from e
            self.warnings.append("no limits: without privileges the control groups are out of reach")
            self.state["cgroup"] = ""
            return []
        except (OSError, ValueError) as e:
            raise EngineError(f"making the cgroup: {e}", reason="cgroup-failed") from e

    def _equip(self, pid: int, channel: Channel, entry: list[int]) -> None:
        """Id maps and cgroup, while the child already mounts."""
        if "user" in self.plan.namespaces.created:
            write_id_maps(pid, self.plan.uid_mappings, self.plan.gid_mappings)
            channel.send(MAPPED)
        if self.cgroup is None:
            return
        fds = entry or self._make_cgroup()
        channel.send(CGROUP, self.cgroup.paths(), [] if entry else fds)
        for fd in fds:
            os.close(fd)

    def _run_runtime_hooks(self, channel: Channel) -> None:
        channel.receive(MOUNTED)
        for kind in ("prestart", "createRuntime"):
            run_hooks(kind, self.hooks.get(kind) or [], oci_state(self.state, "creating"))
        channel.send(HOOKS_DONE)


@contextmanager
def _directory_of(path: str) -> Iterator[str]:
    """The same place by a short name: a socket's path holds 107 bytes."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        with _directory_of(path) as short:
            listener.bind(short)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def _forget_cgroup(cgroup: Cgroup) -> None:
    try:
        cgroup.delete()
    except OSError as e:
        if e.errno != errno.EBUSY:  # others are in it: it was not ours alone
            raise


def _end_process(pid: int, pidfd: int) -> None:
    try:
        pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
