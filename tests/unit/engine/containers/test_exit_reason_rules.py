"""Each kind of end gets its cause and its remedy; stronger evidence wins."""

from typing import Any

import pytest

from corten.engine.containers.exit_reason_rules import Evidence, exit_reason
from corten.engine.values.container import Container, ContainerConfig, HostConfig, Resources, State
from corten.ids import ContainerId, ImageId
from corten.kernel.kmsg import Fault, OomKill


def container(memory: int = 0, shm: int = 64 << 20, **state: Any) -> Container:
    return Container(
        id=ContainerId("a" * 64),
        name="train",
        created=1,
        image_id=ImageId("sha256:" + "b" * 64),
        image_ref="image",
        path="python3",
        args=(),
        config=ContainerConfig(),
        host=HostConfig(shm_size=shm, resources=Resources(memory=memory)),
        state=State(**{"status": "exited", **state}),
    )


KILL = OomKill(812, "python3", "/corten/aaa", False, 68 << 20)

CASES: dict[str, tuple[Evidence, str, str]] = {
    "running": (Evidence(container=container(status="running")), "running", "it is running"),
    "unhealthy": (Evidence(container=container(status="running"), health="exit 1: refused"), "unhealthy", "exit 1: refused"),
    "never started": (Evidence(container=container(status="created")), "never-started", "never started"),
    "limit": (
        Evidence(container=container(64 << 20, exit_code=137), oom=KILL),
        "oom-container",
        "limit of 64 MiB and the kernel killed python3 (pid 812, 68 MiB",
    ),
    "limit, kernel log gone": (
        Evidence(container=container(64 << 20, exit_code=137, oom_killed=True)),
        "oom-container",
        "killed a process",
    ),
    "machine": (Evidence(container=container(exit_code=137), oom=KILL._replace(whole_machine=True)), "oom-machine", "the machine ran out"),
    "segfault": (
        Evidence(container=container(exit_code=139), fault=Fault(5, "python3", "segfault at 0", "libx.so")),
        "crash",
        "crashed in libx.so: segfault at 0",
    ),
    "opcode": (Evidence(container=container(exit_code=132), fault=Fault(5, "node", "invalid opcode", "node")), "crash", "invalid opcode"),
    "xid": (Evidence(container=container(exit_code=1), fault=Fault(5, "", "NVIDIA Xid 79 on PCI:0", "")), "gpu-error", "Xid 79"),
    "sigbus": (Evidence(container=container(exit_code=135)), "shm-full", "/dev/shm (64 MiB)"),
    "dataloader": (
        Evidence(
            container=container(exit_code=1),
            log=("It is possible that dataloader's workers are out of shared memory: insufficient shared memory (shm)",),
        ),
        "shm-full",
        "/dev/shm",
    ),
    "stop timeout": (Evidence(container=container(exit_code=137, manually_stopped=True)), "killed", "had not ended in time after SIGTERM"),
    "stopped": (Evidence(container=container(exit_code=143, manually_stopped=True)), "stopped", "status 143"),
    "cuda memory": (
        Evidence(container=container(exit_code=1), log=("torch.OutOfMemoryError: CUDA out of memory. Tried",)),
        "gpu-memory",
        "GPU's memory",
    ),
    "library": (
        Evidence(container=container(exit_code=127), log=("python3: error while loading shared libraries: libGL.so.1: cannot open",)),
        "missing-library",
        "libGL.so.1",
    ),
    "module": (
        Evidence(container=container(exit_code=1), log=("ModuleNotFoundError: No module named 'torch'", "")),
        "missing-module",
        "module torch",
    ),
    "program": (Evidence(container=container(exit_code=127), log=("sh: 1: uvicorn: not found",)), "missing-program", "uvicorn"),
    "foreign signal": (Evidence(container=container(exit_code=137)), "signal", "SIGKILL ended it"),
    "real-time signal": (Evidence(container=container(exit_code=170)), "signal", "signal 42"),
    "failed": (Evidence(container=container(exit_code=3), log=("a", "last")), "failed", "status 3; its last line: last"),
    "finished": (Evidence(container=container(), log=("Permission denied",)), "finished", "status 0"),
    "no such program": (
        Evidence(
            container=container(status="created", error='… error during container init: exec: "x": executable file not found in $PATH')
        ),
        "missing-program",
        'could not start: exec: "x"',
    ),
    "wrong processor": (
        Evidence(container=container(status="created", error="exec /x: exec format error")),
        "exec-format",
        "exec format error",
    ),
    "other start error": (Evidence(container=container(status="created", error="boom")), "start-failed", "could not start: boom"),
}


@pytest.mark.parametrize("name", CASES)
def test_reason(name: str) -> None:
    evidence, code, part = CASES[name]
    reason = exit_reason(evidence)
    assert reason.code == code
    assert part in reason.cause


def test_a_kill_for_memory_outweighs_what_the_log_says() -> None:
    evidence = Evidence(container=container(64 << 20, exit_code=137), oom=KILL, log=("Permission denied",))
    assert exit_reason(evidence).code == "oom-container"


def test_hostile_log_lines_stay_one_short_printable_line() -> None:
    line = "Permission denied\x1b[2J\r" + "x" * 10_000 + "{0}{"
    cause = exit_reason(Evidence(container=container(exit_code=1), log=(line,))).cause
    assert cause.isprintable()
    assert len(cause) < 300
