"""The container's first process, from its birth in new namespaces to the user's program: each step in the order the kernel wants.

Nothing of the host must be reachable once the program runs: fds are closed, the root is changed, this process is not dumpable, so
that its /proc entries stay closed to the container until exec.
"""

import gc
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from corten.errors import EngineError
from corten.kernel import namespaces as ns
from corten.kernel import process
from corten.kernel.cgroup import Hierarchies, enter
from corten.kernel.mount import MOUNT_ATTR_RDONLY
from corten.kernel.openat2 import make_directory_in_root
from corten.runtime.channel import CGROUP, HOOKS_DONE, MAPPED, MOUNTED, READY, START, Channel, ChannelClosed, report_bug
from corten.runtime.config.mount_options import Attributes
from corten.runtime.config.plan import InitPlan
from corten.runtime.hooks import run_hooks
from corten.runtime.init import console, credentials, limits
from corten.runtime.init.clock import enter_time_namespace
from corten.runtime.init.descriptors import close_all_but, place_stdio
from corten.runtime.init.finish import Finish
from corten.runtime.init.imports import forbid_imports
from corten.runtime.init.join import enter_namespace
from corten.runtime.init.labels import open_labels
from corten.runtime.init.loopback import bring_up_loopback
from corten.runtime.init.sysctl import write_sysctls
from corten.runtime.rootfs import masks, tree
from corten.runtime.rootfs.cgroups import mount_cgroups
from corten.runtime.rootfs.devices import make_devices, make_links
from corten.runtime.rootfs.mounts import finish_readonly, mount_all
from corten.runtime.rootfs.null import reopen_null
from corten.runtime.values import Stdio

_EARLY_HOOKS = frozenset(("prestart", "createRuntime", "createContainer"))
"""They run before the change of root."""


class Inheritance:
    """What the parent left open for the child: the channel, stdio, the root and mounts it had to open itself, a listening socket."""

    def __init__(self, channel: Channel, io: Stdio, *, root_tree: int = -1, sources: Mapping[int, int] | None = None) -> None:
        self.channel = channel
        self.io = io
        self.root_tree = root_tree
        self.sources = sources or {}
        self.listener: socket.socket | None = None

    def fds(self) -> list[int]:
        found = [self.channel.fileno(), self.root_tree, *self.sources.values(), *self.io.preserved]
        if not self.io.terminal:
            found += self.io[:3]
        if self.listener:
            found.append(self.listener.fileno())
        return [fd for fd in found if fd >= 0]


class Init:
    """One container's set-up, in the child."""

    def __init__(self, plan: InitPlan, inherited: Inheritance, hierarchies: Hierarchies | None, state: dict[str, Any]) -> None:
        self.plan = plan
        self.inherited = inherited
        self.channel = inherited.channel
        self.hierarchies = hierarchies
        self.state = state
        self.linux: dict[str, Any] = plan.spec.get("linux") or {}
        self.process: dict[str, Any] = plan.spec["process"]
        self.finish = Finish(self.process, plan.seccomp, self.channel, inherited.io.preserved)
        self.is_privileged = os.geteuid() == 0  # asked in the parent: without, it can map us only while we are dumpable
        self.root_fd = -1
        self.has_devices = False
        self.host_pid = 0
        self.console: tuple[int, int] | None = None
        self.cgroup_paths: dict[str, str] = {}

    def run(self) -> NoReturn:
        """Never returns: execs, or reports an error and exits."""
        try:
            self._run()
        except EngineError as e:
            self.channel.fail(e)
        except OSError as e:
            self.channel.fail(EngineError(str(e), reason="init-failed"))
        finally:
            report_bug(self.channel, sys.exc_info()[1])
            os._exit(1)

    def _run(self) -> None:
        gc.disable()
        forbid_imports()
        if self.is_privileged:
            process.prctl_set_dumpable(False)
        close_all_but(self.inherited.fds())
        os.umask(0)
        os.setsid()
        self._enter_namespaces()
        self._set_up_root()
        self._leave_host()
        self._take_stdio()
        # In a new user namespace limits cannot be raised from inside: the parent sets them.
        self.finish.become(with_rlimits="user" not in self.plan.namespaces.created)
        self.finish.find()
        self._report_ready()
        self._run_own_hooks("startContainer")
        self.finish.drop()
        self.finish.execute()

    def _enter_namespaces(self) -> None:
        plan = self.plan
        if "oomScoreAdj" in self.process:
            self.finish.warnings += limits.set_oom_score_adj(self.process["oomScoreAdj"])
        self.finish.labels = open_labels(self.process)
        for kind, path in plan.namespaces.joined:
            if kind not in ("user", "pid"):
                enter_namespace(path, kind)
        if "time" in plan.namespaces.created:  # while we may still write to our own /proc entries
            enter_time_namespace(self.linux.get("timeOffsets") or {})
        if "user" in plan.namespaces.created:
            self.channel.receive(MAPPED)
            process.prctl_set_dumpable(False)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        if plan.spec.get("hostname"):
            socket.sethostname(plan.spec["hostname"])
        if plan.spec.get("domainname"):
            ns.setdomainname(plan.spec["domainname"])
        if "network" in plan.namespaces.created:
            bring_up_loopback()
        if plan.options.new_keyring:
            process.join_session_keyring(f"_ses.{self.state['id']}"[:250])

    def _set_up_root(self) -> None:
        plan, inherited = self.plan, self.inherited
        hooked = not _EARLY_HOOKS.isdisjoint(plan.spec.get("hooks") or ())
        tree.separate_from_host(plan.rootfs_propagation, plan.rootfs)
        if inherited.root_tree >= 0:
            self.root_fd = tree.attach_root(inherited.root_tree, plan.rootfs, plan.rootfs_propagation, hooked=hooked)
        else:
            self.root_fd = tree.mount_root(plan.options.root_mounts, plan.rootfs, plan.rootfs_propagation, hooked=hooked)
        self._mount_everything()
        self._make_devices()
        if self.inherited.io.terminal:
            size = (self.inherited.io.height, self.inherited.io.width)
            self.console = console.open_console(self.root_fd, size, self.finish.who.uid)
            console.bind_console(self.root_fd, self.console[1])
        finish_readonly(plan.mounts, self.root_fd)
        try:
            os.close(make_directory_in_root(self.root_fd, self.process["cwd"]))
        except OSError:  # a read-only root, or no directory: going there later tells
            pass
        write_sysctls(self.linux.get("sysctl") or {})

    def _make_devices(self) -> None:
        if self.plan.devices and not self.has_devices:
            self.has_devices = True
            make_devices(self.plan.devices, self.root_fd, by_bind="user" in self.plan.namespaces.kinds)
            make_links(self.root_fd)

    def _mount_everything(self) -> None:
        """The cgroup mount waits until this process is in its cgroup, which the parent makes meanwhile.

        Inside, its device rules may refuse mknod, so devices come before where /dev is mounted before.
        """
        plans = self.plan.mounts
        at = next((i for i, plan in enumerate(plans) if plan.type in ("cgroup", "cgroup2") and not plan.bind), len(plans))
        sources = self.inherited.sources
        mount_all(plans[:at], self.root_fd, sources)
        if any(os.path.normpath(plan.destination) == "/dev" for plan in plans[:at]):
            self._make_devices()
        self._enter_cgroup()
        for index, plan in enumerate(plans[at:], at):
            if plan.type in ("cgroup", "cgroup2") and not plan.bind and self.hierarchies is not None:
                own = "cgroup" in self.plan.namespaces.kinds
                mount_cgroups(plan, self.root_fd, self.hierarchies, self.cgroup_paths, own)
            else:
                mount_all((plan,), self.root_fd, {0: sources[index]} if index in sources else {})

    def _enter_cgroup(self) -> None:
        if self.hierarchies is not None:
            paths, fds = self.channel.receive(CGROUP, 32)
            self.cgroup_paths = paths or {}
            if fds:
                enter(self.hierarchies.version, fds)
            for fd in fds:
                os.close(fd)
        if "cgroup" in self.plan.namespaces.created:
            ns.unshare(ns.CLONE_NEWCGROUP)

    def _leave_host(self) -> None:
        plan, hooks = self.plan, self.plan.spec.get("hooks") or {}
        if hooks:
            self.host_pid = int(os.readlink("/proc/self"))  # the host's /proc still
        if hooks.get("prestart") or hooks.get("createRuntime"):
            self.channel.send(MOUNTED)
            self.channel.receive(HOOKS_DONE)
        self._run_own_hooks("createContainer")
        masks.mask_paths(self.linux.get("maskedPaths") or [], self.root_fd)
        masks.make_paths_readonly(self.linux.get("readonlyPaths") or [], self.root_fd)
        if plan.options.no_pivot:
            tree.move_and_chroot(self.root_fd)
        else:
            tree.pivot(self.root_fd)
        os.close(self.root_fd)
        read_only = Attributes(MOUNT_ATTR_RDONLY if plan.spec["root"].get("readonly") else 0)
        tree.dress_root(read_only, plan.rootfs_propagation)

    def _take_stdio(self) -> None:
        if self.console:
            console.take_terminal(self.console[1])
        else:
            place_stdio(self.inherited.io)
            reopen_null()
            credentials.own_stdio(self.finish.who.uid)
        if self.linux.get("personality"):
            limits.set_personality(self.linux["personality"])

    def _report_ready(self) -> None:
        self.channel.send(READY, {"warnings": self.finish.warnings}, [self.console[0]] if self.console else [])
        if self.console:
            os.close(self.console[0])
        listener = self.inherited.listener
        if listener is not None:
            self.channel.close()
            self.channel = self.finish.channel = Channel(listener.accept()[0])
            listener.close()
        try:
            self.channel.receive(START)
        except ChannelClosed:  # whoever could have started us is gone
            os._exit(1)

    def _run_own_hooks(self, kind: str) -> None:
        hooks = (self.plan.spec.get("hooks") or {}).get(kind)
        if hooks:
            status = "creating" if kind == "createContainer" else "created"
            run_hooks(kind, hooks, {**self.state, "pid": self.host_pid, "status": status})
