"""The limits of RUN steps among the parameters of `POST /build`, and parameters that ask for what is not done."""

from typing import Any

import msgspec

from corten.api.request import Request
from corten.build.options import Limits
from corten.errors import Invalid, Unsupported


def check_parameters(request: Request) -> None:
    """Raises Invalid in the words of a Docker on Linux that is not experimental, and Unsupported."""
    if request.text("version") not in ("", "1", "2"):
        raise Invalid(f'invalid version "{request.text("version")}"', reason="bad-version")
    if request.text("isolation") not in ("", "default"):
        raise Invalid(f'unsupported isolation: "{request.text("isolation")}"', reason="bad-isolation")
    if request.text("securityopt") not in ("", "null", "[]"):
        raise Invalid("security options are not supported on linux", reason="no-security-options")
    if request.text("networkmode").startswith("container:"):
        hint = "a network of `corten network create` joins builds and containers"
        raise Unsupported("RUN steps cannot join a container's network namespace", reason="no-joined-network", hint=hint)
    _check_outputs(request.text("outputs"))
    if request.integer("shmsize") < 0:
        raise Invalid("SHM size can not be less than 0", reason="bad-shm-size")
    if request.integer("memory") < 0:
        raise Invalid("Minimum memory limit allowed is 6MB", reason="bad-memory")
    if request.flag("squash"):
        hint = "a stage that starts FROM scratch with one COPY --from= has one layer"
        raise Invalid("squash is only supported with experimental mode", reason="no-squash", hint=hint)


def _check_outputs(text: str) -> None:
    """BuildKit's exporters, for which the classic builder has no use."""
    try:
        wanted = msgspec.json.decode(text, type=list[dict[str, Any]] | None) if text else None
    except msgspec.DecodeError as error:
        raise Invalid(f"invalid outputs specified: {error}", reason="bad-build-parameter") from error
    if wanted:
        hint = "`corten build --output` writes archives and folders, and pushes"
        raise Unsupported("outputs need BuildKit's own protocol", reason="buildkit-outputs", hint=hint)


def read_limits(request: Request) -> Limits:
    """Raises Invalid for a number that is none."""
    return Limits(
        memory=request.integer("memory"),
        memory_swap=request.integer("memswap"),
        cpu_shares=request.integer("cpushares"),
        cpu_period=request.integer("cpuperiod"),
        cpu_quota=request.integer("cpuquota"),
        cpuset_cpus=request.text("cpusetcpus"),
        cpuset_mems=request.text("cpusetmems"),
        cgroup_parent=request.text("cgroupparent"),
    )
