"""The limits of RUN steps among the parameters of `POST /build`."""

from corten.api.request import Request
from corten.build.options import Limits
from corten.errors import Invalid


def read_limits(request: Request) -> Limits:
    """Raises Invalid for `squash`, in the words of a Docker that is not experimental, and for a number that is none."""
    if request.flag("squash"):
        hint = "a stage that starts FROM scratch with one COPY --from= has one layer"
        raise Invalid("squash is only supported with experimental mode", reason="no-squash", hint=hint)
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
