"""The end of the way into a program, which a container's first process and those that join later share.

`become` takes the user's identity but keeps what is needed to install the filter; `find` looks for the program with the user's own
rights; `drop` gives the last powers away; `execute` is the exec.
"""

import os
import signal
from typing import Any, NoReturn

from corten.errors import EngineError
from corten.kernel import process, seccomp
from corten.runtime.channel import NOTIFY, Channel
from corten.runtime.init import credentials, descriptors, limits, program
from corten.runtime.init.credentials import parse_credentials
from corten.runtime.init.labels import Labels
from corten.runtime.init.limits import parse_rlimits
from corten.runtime.values import SeccompFilter


class Finish:
    """`process_spec` is the OCI process; `preserved` are fds for the program to have as 3, 4, ..."""

    def __init__(self, process_spec: dict[str, Any], filter_: SeccompFilter | None, channel: Channel, preserved: tuple[int, ...]) -> None:
        self.spec = process_spec
        self.filter = filter_
        self.channel = channel
        self.preserved = preserved
        self.who = parse_credentials(process_spec)
        self.rlimits = parse_rlimits(process_spec.get("rlimits") or [])
        self.labels = Labels([])
        self.warnings: list[str] = []
        self._env: dict[str, str] = {}
        self._program = ""

    def become(self, *, with_rlimits: bool) -> None:
        """Inside the container's root. Resource limits come first: the user could not raise them."""
        spec, who = self.spec, self.who
        if spec.get("scheduler"):
            limits.set_scheduler(spec["scheduler"])
        if spec.get("ioPriority"):
            limits.set_io_priority(spec["ioPriority"])
        self._env = program.environment(spec.get("env") or [])
        if "HOME" not in self._env:
            self._env["HOME"] = credentials.home_directory(who.uid)
        if with_rlimits:
            self.warnings += limits.set_rlimits(self.rlimits)
        if who.unknown:
            self.warnings.append(f"unknown capabilities are left out: {' '.join(who.unknown)}")
        credentials.become_user(who)
        credentials.enter_directory(spec["cwd"])
        os.umask(who.umask)

    def find(self) -> None:
        self._program = program.find_program(self.spec["args"][0], self._env.get("PATH"))

    def drop(self) -> None:
        """The filter goes in while CAP_SYS_ADMIN is there, or else after no_new_privs and as late as can be."""
        self.labels.write()
        process.default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if self.preserved:
            descriptors.place_preserved(self.preserved)
        if self.who.no_new_privs:
            process.prctl_set_no_new_privs()
            credentials.drop_capabilities(self.who)
            self._install()
        else:
            self._install()
            credentials.drop_capabilities(self.who)

    def execute(self) -> NoReturn:
        program.execute(self._program, self.spec["args"], self._env)

    def _install(self) -> None:
        if self.filter is None:
            return
        try:
            listener = seccomp.install(self.filter.program, self.filter.flags)
        except OSError as e:
            raise EngineError(f"installing the seccomp filter: {e}", reason="seccomp-failed") from e
        if self.filter.listener:
            body = {"listener": self.filter.listener, "metadata": self.filter.metadata}
            self.channel.send(NOTIFY, body, [listener])
            os.close(listener)
