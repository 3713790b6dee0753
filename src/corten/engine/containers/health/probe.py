"""One probe: the test's command as an exec in the container, its output and exit code, within the time that it may take."""

import asyncio
import socket
import time
from typing import Final

from corten.engine.containers.execs import Execs
from corten.engine.containers.health.output import ProbeOutput
from corten.engine.containers.protocols import MonitorClient
from corten.engine.values.container import Container, HealthResult
from corten.engine.values.exec import ExecConfig
from corten.errors import Conflict, EngineError, NotFound
from corten.ids import ExecId
from corten.units import format_duration

KILL_SECONDS: Final = 10.0
"""How long a killed probe is waited for: those that do not die shall not pile up."""
FAILED: Final = -1
_SIGKILL = 9


class Probe:
    def __init__(self, execs: Execs, monitors: MonitorClient) -> None:
        self._execs = execs
        self._monitors = monitors

    async def run(self, container: Container, command: tuple[str, ...], timeout: int) -> HealthResult:
        """`timeout` is in ns. A command that cannot be executed is a result too. Cancelled, it kills the command."""
        start = time.time_ns()
        try:
            code, output = await self._run(container, command, timeout)
        except EngineError as error:
            code, output = FAILED, error.message
        return HealthResult(start=start, end=time.time_ns(), exit_code=code, output=output)

    async def kill(self, container_id: str, exec_id: str) -> None:
        """One that may be over already."""
        try:
            await self._monitors.of(container_id).kill_exec(exec_id, _SIGKILL)
        except (NotFound, Conflict):
            pass

    async def _run(self, container: Container, command: tuple[str, ...], timeout: int) -> tuple[int, str]:
        config = ExecConfig(cmd=command, attach_stdout=True, attach_stderr=True)
        exec_id = self._execs.create(container.id, config, kept=False)
        ending = self._execs.ending(exec_id)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                await self._execs.start(exec_id, sock_fd=theirs.fileno(), framed=False)
            output = ProbeOutput(ours)
            try:
                async with asyncio.timeout(timeout / 1e9):
                    code = await asyncio.shield(ending)
                    await output.ended
            except TimeoutError:
                await self._end(container.id, exec_id, ending)
                text = f"Health check exceeded timeout ({format_duration(timeout)})"
                return FAILED, f"{text}: {output.text()}" if output.text() else text
            except asyncio.CancelledError:
                await self.kill(container.id, exec_id)
                raise
            finally:
                output.close()
            return code, output.text()

    async def _end(self, container_id: str, exec_id: ExecId, ending: "asyncio.Future[int]") -> None:
        await self.kill(container_id, exec_id)
        try:
            async with asyncio.timeout(KILL_SECONDS):
                await ending
        except TimeoutError:
            pass  # it hangs in the kernel
