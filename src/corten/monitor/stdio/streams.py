"""All streams of one process: made before it, given to it, read from and fed while it lives, drained after it."""

import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from corten.kernel.pty import set_window_size
from corten.monitor.logs.journal import Journal
from corten.monitor.logs.writer import LogWriter
from corten.monitor.loop import Loop, Timer
from corten.monitor.stdio.audience import Audience
from corten.monitor.stdio.ends import Roles, Wishes
from corten.monitor.stdio.inflow import Inflow
from corten.monitor.stdio.keys import parse_detach_keys
from corten.monitor.stdio.outflow import Outflow, Source
from corten.monitor.stdio.spool import Spool
from corten.monitor.values import AttachOptions, LogSpec

_SILENT_SECONDS = 1.0
"""A process closes its files some time before it has exited; clients are to see the end only after that is known."""

GRACE_SECONDS = 2.0
"""How long output may still come, after a process has exited, from others that hold its pipes (Docker waits as long)."""

_NAMES = {1: "stdout", 2: "stderr"}


class Listener(Protocol):
    """Whom the streams belong to."""

    def detached(self) -> None:
        """A client typed the detach keys."""

    def log_failed(self, error: OSError) -> None:
        """Output was dropped."""

    def rotated(self, inode: int) -> None:
        """This file of the log is full."""

    def released(self, role: str) -> None:
        """We have closed it for good; so should the launcher."""


class Streams:
    """Owns the descriptors of `roles`. `audience` are the clients."""

    def __init__(self, loop: Loop, roles: Roles, listener: Listener, wishes: Wishes, *, stdin_once: bool) -> None:
        self._loop = loop
        self._roles = roles
        self._listener = listener
        self._tty = wishes.tty
        self._stdin_once = stdin_once
        self.audience = Audience(self._input_ended, listener.detached)
        self._log: LogWriter | None = None
        self._on_finished: Callable[[], None] | None = None
        self._grace: Timer | None = None
        self._is_finished = False
        self._begun = False
        self._outflows: dict[int, Outflow] = {}
        self._inflow: Inflow | None = None
        for number in (1, 2):
            if f"spool{number}" in roles:
                spool = Spool(roles[f"spool{number}"])
                on_end = partial(self._ended, number)
                self._outflows[number] = Outflow(loop, number, spool, on_end=on_end, on_log_error=listener.log_failed)
        if wishes.stdin:
            self._inflow = Inflow(loop)
            if not wishes.tty:
                self._inflow.on_closed = self._stdin_closed

    @property
    def roles(self) -> Roles:
        """What the launcher is to hold a copy of."""
        return self._roles

    def set_log(self, spec: LogSpec) -> None:
        """Keep the output, going on where a predecessor was cut off. OSError when the file cannot be opened."""
        journal = Journal(self._roles["spool1"])
        self._log = LogWriter(spec, journal, on_rotated=self._listener.rotated)
        for outflow in self._outflows.values():
            outflow.log = self._log
            outflow.take_in()

    def begin(self) -> None:
        """Start reading the pipes; a terminal comes by `set_console`."""
        self._begun = True
        for number, outflow in self._outflows.items():
            if _NAMES[number] in self._roles:
                outflow.begin(Source(self._roles[_NAMES[number]]))
            elif "relay0" not in self._roles:  # had ended in a predecessor's time
                outflow.end()
        if self._inflow is not None and not self._tty:
            if "stdin" in self._roles:
                self._inflow.open(self._roles["stdin"])
            else:
                self._inflow.close()
        if "console" in self._roles:
            self.set_console(self._roles["console"])

    def set_console(self, master: int) -> None:
        """The process' terminal, ours from now on."""
        os.set_blocking(master, False)
        self._roles["console"] = master
        if self._inflow is not None:
            self._inflow.open(os.dup(master))
        self._outflows[1].begin(Source(master, (self._roles["relay0"], self._roles["relay1"])))

    def resize(self, height: int, width: int) -> bool:
        """False without a terminal."""
        if "console" not in self._roles:
            return False
        set_window_size(self._roles["console"], height, width)
        return True

    def attach(self, sock: socket.socket, options: AttachOptions, initial: bytes, replay: Iterator[bytes] | None) -> None:
        """A client, whose socket is ours now. With `replay` (the log up to now) its streams begin where the log ends."""
        client = self.audience.admit(self._loop, sock, framed=options["framed"])
        if options["stream"]:
            for number, wanted in ((1, options["stdout"]), (2, options["stderr"])):
                outflow = self._outflows.get(number)
                if wanted and outflow is not None:
                    logged = self._log.logged(number) if replay is not None and self._log is not None else outflow.spool.head
                    client.take_output(outflow, logged)
        over = bool(self._outflows) and self._are_over()
        client.begin(replay, finishing=over or not options["stream"])
        if options["stdin"] and options["stream"] and self._inflow is not None and client.is_live:
            keys = parse_detach_keys(options["detach_keys"]) if self._tty else b""
            client.take_input(self._inflow, keys, initial)

    def log_end(self) -> tuple[int, int] | None:
        """Where the log ends now (see `read.blocks`); None if none is kept."""
        return self._log.end if self._log is not None else None

    def finish(self, on_finished: Callable[[], None]) -> None:
        """The process has exited: take in the rest, then call back (perhaps at once). Clients read on by themselves.

        Their streams end only with `audience.end`: a client that sees the end asks for the exit code, which must be known by then.
        """
        self._on_finished = on_finished
        for outflow in list(self._outflows.values()):
            outflow.finish()
        if self._is_finished:
            return
        if self._are_over():
            self._finished()
        else:
            self._grace = self._loop.after(GRACE_SECONDS, self.end)

    def end(self) -> None:
        """End the output streams, even if somebody still holds a pipe."""
        for outflow in list(self._outflows.values()):
            outflow.end()

    def close(self) -> None:
        """Give everything up but what clients still have to read, which closes when they have."""
        if not self._begun:
            for role in ("stdin", "stdout", "stderr"):
                if role in self._roles:
                    os.close(self._roles.pop(role))
        self.end()
        self.audience.end()
        if self._inflow is not None:
            self._inflow.close()
        if self._log is not None:
            self._log.close()
            self._log = None
        for outflow in self._outflows.values():
            outflow.spool.close()
        for role in ("relay0", "relay1"):
            if role in self._roles:  # a terminal that never came
                os.close(self._roles[role])
        self._outflows = {}
        self._roles = {}

    def _input_ended(self) -> None:
        if self._stdin_once and not self._tty and self._inflow is not None:
            self._inflow.end()

    def _stdin_closed(self) -> None:
        self._roles.pop("stdin", None)
        self._listener.released("stdin")

    def _are_over(self) -> bool:
        return all(outflow.is_over for outflow in self._outflows.values())

    def _ended(self, number: int) -> None:
        source = ("console", "relay0", "relay1") if self._tty else (_NAMES[number],)
        for role in source if source[0] in self._roles else ():
            del self._roles[role]
            self._listener.released(role)
        if not self._are_over():
            return
        if self._on_finished is not None:
            self._finished()
        elif not self._is_finished:
            self._loop.after(_SILENT_SECONDS, self._end_if_silent)

    def _end_if_silent(self) -> None:
        """The process has closed its output and lives on: there is nothing more for clients, but what they type."""
        if not self._is_finished:
            self.audience.end()

    def _finished(self) -> None:
        self._is_finished = True
        callback, self._on_finished = self._on_finished, None
        if self._grace is not None:
            self._grace.cancel()
        if callback is not None:
            callback()
