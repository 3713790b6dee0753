"""From evidence to an exit reason, by rules in order of how much they prove. No I/O: `exit_reasons` collects the evidence.

state ▶ start error ▶ OOM kill ▶ fault ▶ stop timeout ▶ signal with a known meaning ▶ lines of the log ▶ exit code
"""

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from corten.engine.values.container import Container
from corten.kernel.kmsg import Fault, OomKill

_SIGKILL, _SIGTERM = 128 + signal.SIGKILL, 128 + signal.SIGTERM
_SIGBUS, _SIGSEGV, _SIGILL, _SIGSYS = (128 + number for number in (signal.SIGBUS, signal.SIGSEGV, signal.SIGILL, signal.SIGSYS))
_LAST_SIGNAL = 128 + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a container's last run. `oom`, `fault`: from the kernel's log. `log`: its last lines, oldest first."""

    container: Container
    oom: OomKill | None = None
    fault: Fault | None = None
    log: tuple[str, ...] = ()
    health: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReason:
    """`code` names the kind for programs; `cause` and `action` are one line each for people, `action` empty when there is nothing to do."""

    code: str
    cause: str
    action: str = ""


def exit_reason(evidence: Evidence) -> ExitReason:
    """The best supported reason; never none."""
    for rule in _RULES:
        reason = rule(evidence)
        if reason is not None:
            return reason
    return _by_exit_code(evidence)


def _by_state(evidence: Evidence) -> ExitReason | None:
    state = evidence.container.state
    if state.status in ("running", "paused"):
        if evidence.health:
            return ExitReason(
                code="unhealthy",
                cause=f"the health check fails: {evidence.health}",
                action="run the check by hand: corten exec CONTAINER …; its last results stand in inspect, State.Health.Log",
            )
        return ExitReason(code="running", cause=f"it is {state.status}")
    if state.status == "created" and not state.error:
        return ExitReason(code="never-started", cause="it was created and never started", action="start it: corten start CONTAINER")
    return None


# What a start's error says, and what helps. Matched in order.
_START_ERRORS: Final = (
    (
        r"executable file not found|stat .*: no such file or directory|\S: no such file or directory",
        "missing-program",
        "look for the program in the image: corten run --rm --entrypoint sh IMAGE -c 'command -v PROGRAM'; a script also needs the"
        " interpreter that its first line names",
    ),
    (
        r"exec format error",
        "exec-format",
        "the program is for another processor, or a script without a first line such as #!/bin/sh; see corten image inspect, Architecture",
    ),
    (r"permission denied", "not-executable", "make it executable in the image: RUN chmod +x PROGRAM, or COPY --chmod=755"),
    (
        r"nvidia|could not select device driver|[Gg][Pp][Uu]",
        "gpu-missing",
        "look for the driver on this machine: nvidia-smi; corten info lists the devices that containers can be given",
    ),
    (r"port is already allocated|address already in use", "port-taken", "free the port, or publish another one with -p"),
    (r"no such file or directory.*mount|mount.*no such file or directory|bind source path does not exist", "mount-source", ""),
)


def _by_start_error(evidence: Evidence) -> ExitReason | None:
    error = evidence.container.state.error
    if not error:
        return None
    short = error.rpartition("error during container init: ")[2] or error
    for pattern, code, action in _START_ERRORS:
        if re.search(pattern, error):
            return ExitReason(code=code, cause=f"it could not start: {short}", action=action)
    return ExitReason(code="start-failed", cause=f"it could not start: {short}")


def _by_oom(evidence: Evidence) -> ExitReason | None:
    kill, state = evidence.oom, evidence.container.state
    limit = evidence.container.host.resources.memory
    if kill is None and not (state.oom_killed and state.exit_code):
        return None
    victim = "a process" if kill is None else f"{kill.name} (pid {kill.pid}, {_mib(kill.resident)} resident)"
    if kill is not None and kill.whole_machine:
        return ExitReason(
            code="oom-machine",
            cause=f"the machine ran out of memory and the kernel killed {victim}",
            action="see who takes the memory: corten stats; limit the largest with --memory",
        )
    reached = f"its memory limit of {_mib(limit)}" if limit else "the memory limit of its control group"
    return ExitReason(
        code="oom-container",
        cause=f"the container reached {reached} and the kernel killed {victim}",
        action="raise the limit (corten update --memory SIZE --memory-swap SIZE CONTAINER), or use smaller batches, fewer workers",
    )


def _by_fault(evidence: Evidence) -> ExitReason | None:
    fault = evidence.fault
    if fault is None:
        return None
    if fault.what.startswith("NVIDIA Xid"):
        return ExitReason(
            code="gpu-error",
            cause=f"the GPU driver reported an error of process {fault.pid}: {fault.what}",
            action="NVIDIA's list of Xid numbers tells whether the program, the driver or the device is at fault",
        )
    module = f" in {fault.module}" if fault.module else ""
    action = "run it again with PYTHONFAULTHANDLER=1 to see the Python stack"
    if fault.what == "invalid opcode" or evidence.container.state.exit_code == _SIGILL:
        action = "the program was built for a newer processor (AVX-512, say): use a build for this one"
    return ExitReason(code="crash", cause=f"{fault.name} (pid {fault.pid}) crashed{module}: {fault.what}", action=action)


def _by_stop(evidence: Evidence) -> ExitReason | None:
    state, config = evidence.container.state, evidence.container.config
    if not state.manually_stopped:
        return None
    name = config.stop_signal or "SIGTERM"
    if state.exit_code == _SIGKILL:
        return ExitReason(
            code="killed",
            cause=f"it was killed: by `kill`, or by `stop` because it had not ended in time after {name}",
            action="to end by itself it must handle the signal: --init or an exec-form ENTRYPOINT help; --stop-timeout gives more time",
        )
    return ExitReason(code="stopped", cause=f"it was stopped by a user and ended with status {state.exit_code}")


def _by_signal(evidence: Evidence) -> ExitReason | None:
    code, host = evidence.container.state.exit_code, evidence.container.host
    if code == _SIGBUS or any("insufficient shared memory" in line or "Bus error" in line for line in evidence.log):
        return ExitReason(
            code="shm-full",
            cause=f"a process got SIGBUS, most often because /dev/shm ({_mib(host.shm_size)}) was full",
            action="give it more: --shm-size 8g, or --ipc=host",
        )
    if code == _SIGSYS:
        return ExitReason(
            code="seccomp",
            cause="the seccomp profile ended it at a forbidden system call (SIGSYS)",
            action="use a profile that allows the call: --security-opt seccomp=FILE",
        )
    return None


# Last lines of a log that programs of this field print, what they mean, and what helps. `{0}` is the pattern's group.
_LOG_LINES: Final = (
    (
        r"CUDA (?:error: )?out of memory|CUDA_ERROR_OUT_OF_MEMORY",
        "gpu-memory",
        "the GPU's memory was full",
        "see who holds it: nvidia-smi; use a smaller model, batch or cache share",
    ),
    (
        r"CUDA driver version is insufficient|forward compatibility was attempted",
        "cuda-driver",
        "the image's CUDA is newer than this machine's driver",
        "update the driver, or use an image of an older CUDA",
    ),
    (
        r"Found no NVIDIA driver|no CUDA-capable device|No CUDA GPUs are available|libcuda\.so\.1: cannot open",
        "gpu-missing",
        "the program found no GPU",
        "run it with --gpus all; nvidia-smi says whether this machine has a driver",
    ),
    (
        r"No space left on device",
        "disk-full",
        "a disk was full",
        "see what takes it: corten system df; a tmpfs or /dev/shm has its own size",
    ),
    (
        r"error while loading shared libraries: (\S+?):|(\S+\.so[.\d]*): cannot open shared object file",
        "missing-library",
        "the library {0} is not in the image",
        "install the package that has it: apt-file search {0}",
    ),
    (
        r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)",
        "missing-module",
        "the Python module {0} is not in the image",
        "install it in the Dockerfile, and look whether PATH points to the right environment",
    ),
    (
        r"[Aa]ddress already in use",
        "port-taken",
        "a port that it listens on was taken",
        "with --network host another program has it: choose another port",
    ),
    (
        r"[Ee]xec format error",
        "exec-format",
        "a program was for another processor, or a script without #!",
        "see corten image inspect, Architecture",
    ),
    (
        r"Operation not permitted",
        "denied",
        "a call was refused: a capability is missing or seccomp forbids it",
        "find the capability the program needs and give it with --cap-add",
    ),
    (
        r"Permission denied",
        "denied",
        "a file could not be opened or run",
        "compare the user (`id`) with the owner and mode of the file; mounts keep the host's owners",
    ),
    (
        r"(?:sh|bash|entrypoint\S*): (?:\d+: |line \d+: )?(\S+): (?:command )?not found",
        "missing-program",
        "the program {0} is not in the image",
        "install it in the Dockerfile",
    ),
)


def _by_log(evidence: Evidence) -> ExitReason | None:
    if not evidence.container.state.exit_code:
        return None
    return next(_log_matches(evidence.log), None)


def _log_matches(lines: tuple[str, ...]) -> Iterator[ExitReason]:
    for line in reversed(lines):
        for pattern, code, cause, action in _LOG_LINES:
            if (match := re.search(pattern, line)) is not None:
                name = next((group for group in match.groups() if group), "")
                yield ExitReason(code=code, cause=f"{cause.format(name)} (log: {_short(line)})", action=action.format(name))


def _by_exit_code(evidence: Evidence) -> ExitReason:
    code = evidence.container.state.exit_code
    last = f"; its last line: {_short(evidence.log[-1])}" if evidence.log else ""
    if code == 0:
        return ExitReason(code="finished", cause="the program ended by itself with status 0")
    if 128 < code <= _LAST_SIGNAL:
        name = signal.Signals(code - 128).name if code - 128 in set(signal.Signals) else f"signal {code - 128}"
        return ExitReason(code="signal", cause=f"{name} ended it, which the engine did not send{last}")
    return ExitReason(code="failed", cause=f"the program ended with status {code}{last}", action="read its output: corten logs CONTAINER")


_RULES: Final[tuple[Callable[[Evidence], ExitReason | None], ...]] = (
    _by_state,
    _by_start_error,
    _by_oom,
    _by_fault,
    _by_stop,
    _by_signal,
    _by_log,
)


def _mib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _short(line: str) -> str:
    """Of a log line: printable and at most 160 characters."""
    clean = "".join(char if char.isprintable() else " " for char in line).strip()
    return clean if len(clean) <= 160 else f"{clean[:159]}…"
