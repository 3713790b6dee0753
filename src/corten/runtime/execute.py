"""A further process in a running container (`exec`).

A go-between joins the container's namespaces through the init's pidfd and sets everything up in the host's pid namespace, where the
container cannot see it. Only then does it fork into the container's, and that child, which has lost the host's fds and (but for
what installs the filter) powers, execs at once. Where the container could trace even that child, the powers go before the fork.
"""

import gc
import os
import sys
from contextlib import ExitStack
from typing import Any, NamedTuple, NoReturn

from corten.errors import Conflict, EngineError, from_wire
from corten.kernel import namespaces as ns
from corten.kernel import process
from corten.kernel.caps import CAPS
from corten.kernel.cgroup import enter
from corten.kernel.process import CLONE_PARENT, clone, clone3, pidfd_open
from corten.runtime.channel import FORKED, NOTIFY, Channel, ChannelClosed, open_channel, report_bug
from corten.runtime.create import deliver_notice
from corten.runtime.init import console, credentials, limits
from corten.runtime.init.descriptors import close_all_but, place_stdio
from corten.runtime.init.finish import Finish
from corten.runtime.init.imports import forbid_imports
from corten.runtime.init.labels import open_labels
from corten.runtime.rootfs.null import reopen_null
from corten.runtime.state import ContainerState, is_alive
from corten.runtime.values import Process, ProcessSpec, SeccompFilter, Stdio


class ExecPlan(NamedTuple):
    """`entry` are the container's cgroup's entry fds, of `cgroup_version`; [] to stay outside."""

    process: ProcessSpec
    io: Stdio
    seccomp: SeccompFilter | None
    cgroup_version: int
    entry: list[int]


def execute_process(state: ContainerState, plan: ExecPlan) -> Process:
    """Start it and return when its program runs. Conflict when the container does not run; the program's errors as in `Created.start`.

    The process is the caller's child.
    """
    with ExitStack() as stack:
        init_pidfd = _open_init(state)
        stack.callback(os.close, init_pidfd)
        ours, theirs = open_channel()
        stack.callback(ours.close)
        go_between, go_between_fd = clone3(0, hooks=False)
        if go_between == 0:
            _Joiner(state, plan, theirs, init_pidfd).run()
        theirs.close()
        stack.callback(os.waitpid, go_between, 0)
        stack.callback(os.close, go_between_fd)
        return _await_process(ours, state, plan.io.terminal)


def _await_process(channel: Channel, state: ContainerState, terminal: bool) -> Process:
    """Go-between and child write to the same channel, in any order; both have closed it once the program runs."""
    forked: tuple[dict[str, Any], list[int]] | None = None
    notice: tuple[dict[str, Any], list[int]] | None = None
    error: EngineError | None = None
    try:
        while True:
            kind, body, fds = channel.receive_any(2)
            if kind == FORKED:
                forked = body, fds
            elif kind == NOTIFY:
                notice = body, fds
            else:
                error = from_wire(body)
            if forked and notice:  # the agent may have to answer before the exec can go on
                deliver_notice({**notice[0], "pid": forked[0]["pid"]}, notice[1], state)
                notice = None
    except ChannelClosed as e:
        if forked is None:
            raise error or e from None
    body, fds = forked
    if error is not None:
        for fd in fds:
            os.close(fd)
        os.waitpid(body["pid"], 0)
        raise error
    return Process(body["pid"], fds[0], fds[1] if terminal else None, tuple(body["warnings"]))


def _open_init(state: ContainerState) -> int:
    """A pidfd that is certain to be the container's init: its start time is compared once the fd holds it."""
    try:
        pidfd = pidfd_open(state["pid"])
    except ProcessLookupError:
        raise Conflict("container is not running", reason="not-running") from None
    if not is_alive(state):
        os.close(pidfd)
        raise Conflict("container is not running", reason="not-running")
    return pidfd


class _Joiner:
    """The go-between, then its child."""

    def __init__(self, state: ContainerState, plan: ExecPlan, channel: Channel, init_pidfd: int) -> None:
        self.state = state
        self.plan = plan
        self.channel = channel
        self.init_pidfd = init_pidfd
        self.terminal: tuple[int, int] | None = None

    def run(self) -> NoReturn:
        try:
            self._run()
        except EngineError as e:
            self.channel.fail(e)
        except OSError as e:
            self.channel.fail(EngineError(str(e), reason="exec-failed"))
        finally:
            report_bug(self.channel, sys.exc_info()[1])
            os._exit(1)

    def _run(self) -> None:
        gc.disable()
        forbid_imports()
        plan, spec = self.plan, self.plan.process
        process.prctl_set_dumpable(False)
        keep = [self.channel.fileno(), *plan.io.preserved, *([] if plan.io.terminal else plan.io[:3])]
        close_all_but([*keep, self.init_pidfd, *plan.entry])
        os.umask(0)
        self.finish = finish = Finish(spec, plan.seccomp, self.channel, plan.io.preserved)
        if plan.entry:
            enter(plan.cgroup_version, plan.entry)
        if "oomScoreAdj" in spec:
            finish.warnings += limits.set_oom_score_adj(spec["oomScoreAdj"])
        finish.labels = open_labels(spec)
        self._set_affinity("initial")
        self._join()
        close_all_but([*keep, *finish.labels.fds()])
        self._take_stdio()
        finish.become(with_rlimits=True)
        finish.find()
        self._fork_inside()

    def _join(self) -> None:
        flags = 0
        for kind in self.state["namespaces"]:
            flags |= ns.NAMESPACES[kind][0]
        ns.setns(self.init_pidfd, flags)
        if flags & ns.CLONE_NEWUSER:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)

    def _take_stdio(self) -> None:
        io = self.plan.io
        if io.terminal:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.terminal = console.open_console(root, (io.height, io.width), self.finish.who.uid)
            os.close(root)
        else:
            place_stdio(io)
            reopen_null()
            credentials.own_stdio(self.finish.who.uid)

    def _fork_inside(self) -> None:
        early = self.finish.filter is not None and not self.finish.who.no_new_privs and self._can_be_traced()
        if early:
            self.finish.drop()
        pid, pidfd = clone(CLONE_PARENT) if early else clone3(CLONE_PARENT, exit_signal=0, hooks=False)
        if pid:
            body = {"pid": pid, "warnings": self.finish.warnings}
            self.channel.send(FORKED, body, [pidfd, self.terminal[0]] if self.terminal else [pidfd])
            os._exit(0)
        os.setsid()
        if self.terminal:
            console.take_terminal(self.terminal[1])
        self._set_affinity("final")
        if not early:
            self.finish.drop()
        self.finish.execute()

    def _can_be_traced(self) -> bool:
        return bool(self.finish.who.bounding >> CAPS["CAP_SYS_PTRACE"] & 1)

    def _set_affinity(self, when: str) -> None:
        cpus = (self.plan.process.get("execCPUAffinity") or {}).get(when)
        if cpus:
            os.sched_setaffinity(0, limits.parse_cpu_list(cpus))
