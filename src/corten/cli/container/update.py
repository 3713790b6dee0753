"""`update`: limits and the restart policy of containers that exist."""

from typing import Any

from corten.cli.container.create_flags import LIMITS
from corten.cli.errors import Failure
from corten.cli.fan_out import each
from corten.cli.flags import Flag, Values
from corten.cli.kinds import STRING
from corten.cli.options.policies import restart_policy
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.urls import quoted

NUMBERS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}
TEXTS = {"cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems"}


def update(session: Session, values: Values, arguments: list[str]) -> int:
    if not values.given(*NUMBERS, *TEXTS, "restart", "kernel-memory"):
        raise Failure("you must provide one or more flags when using this command")
    try:
        body: dict[str, Any] = {"RestartPolicy": restart_policy(values.text("restart"))}
    except ValueError as error:
        raise Failure(str(error)) from None
    body |= {key: values.number(flag) for flag, key in NUMBERS.items() if values.given(flag)}
    body |= {key: values.text(flag) for flag, key in TEXTS.items() if values.given(flag)}
    warnings: list[str] = []

    def change(api: Api, name: str) -> None:
        answer = api.post(f"/containers/{quoted(name)}/update", body=body)
        warnings.extend(answer.get("Warnings") or ())

    status = each(session, arguments, change)
    for warning in warnings:
        session.say(warning)
    return status


UPDATE = Action(
    update,
    (
        *(f for f in LIMITS if f.name in NUMBERS or f.name in TEXTS or f.name == "kernel-memory"),
        Flag("restart", STRING, "When to start it again after it ended (no, always, unless-stopped, on-failure[:times])"),
    ),
)
