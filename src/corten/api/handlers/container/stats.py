"""`/containers/{id}/stats`: readings in Docker's form, which differs a little between cgroup v1 and v2."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from corten.api.request import Request
from corten.engine.containers.stats import Reading, Sample
from corten.engine.timestamps import format_moment
from corten.errors import Invalid
from corten.http.response import Reply, Response, Stream

Json = dict[str, Any]
_BLKIO: Final = (
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)


async def container_stats(request: Request) -> Reply:
    streams, one_shot = request.flag("stream", True), request.flag("one-shot")
    if "stream" in request.http.query and streams and one_shot:
        raise Invalid("cannot have stream=true and one-shot=true", reason="bad-stats")
    ref = request.params["id"]
    if streams and not one_shot:
        request.app.containers.get(ref)
        return Stream(_lines(request, ref))
    sample = await request.app.stats.once(ref, rate=not one_shot)
    return Response(200, _line(sample), "application/json")


async def _lines(request: Request, ref: str) -> AsyncIterator[bytes]:
    async for sample in request.app.stats.stream(ref):
        yield _line(sample)


def _line(sample: Sample) -> bytes:
    return json.dumps(stats_answer(sample), separators=(",", ":")).encode() + b"\n"


def stats_answer(sample: Sample) -> Json:
    now, before = sample.now, sample.before
    answer = {
        "name": f"/{sample.container.name}",
        "id": sample.container.id,
        "read": format_moment(now.at if now else 0),
        "preread": format_moment(before.at if before else 0),
        "pids_stats": _pids(now),
        "blkio_stats": _blkio(now),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(before),
        "memory_stats": _memory(now) if now else {},
    }
    if now and now.networks:
        answer["networks"] = {name: dict(counters) for name, counters in now.networks.items()}
    return answer


def _pids(now: Reading | None) -> Json:
    if now is None:
        return {}
    limit = now.cgroup["pids_limit"]
    return {"current": now.cgroup["pids_current"], **({"limit": limit} if limit else {})}


def _blkio(now: Reading | None) -> Json:
    if now is None:
        return dict.fromkeys(_BLKIO)
    if now.cgroup["version"] == 2:  # only bytes are told there, and none is null
        return {**dict.fromkeys(_BLKIO), "io_service_bytes_recursive": now.cgroup["io_service_bytes"] or None}
    known = {"io_service_bytes_recursive": now.cgroup["io_service_bytes"], "io_serviced_recursive": now.cgroup["io_serviced"]}
    return {name: known.get(name, []) for name in _BLKIO}


def _cpu(reading: Reading | None) -> Json:
    if reading is None:
        nothing = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}
        return {"cpu_usage": nothing, "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}}
    cgroup = reading.cgroup
    usage: Json = {"total_usage": cgroup["cpu_total"]}
    if cgroup["per_cpu"]:
        usage["percpu_usage"] = cgroup["per_cpu"]
    return {
        "cpu_usage": {**usage, "usage_in_kernelmode": cgroup["cpu_system"], "usage_in_usermode": cgroup["cpu_user"]},
        "system_cpu_usage": reading.system,
        "online_cpus": reading.online_cpus,
        "throttling_data": {
            "periods": cgroup["periods"],
            "throttled_periods": cgroup["throttled_periods"],
            "throttled_time": cgroup["throttled_time"],
        },
    }


def _memory(now: Reading) -> Json:
    cgroup = now.cgroup
    found: Json = {"usage": cgroup["memory_usage"]}
    if cgroup["version"] == 1:
        found["max_usage"] = cgroup["memory_max_usage"]
    found["stats"] = cgroup["memory_stat"]
    if cgroup["memory_failcnt"]:
        found["failcnt"] = cgroup["memory_failcnt"]
    found["limit"] = min(cgroup["memory_limit"] or now.memory_total, now.memory_total)
    return found
