"""When a container that ended starts again, and after how long.

The pause begins at 100 ms, doubles with every restart up to one minute, and begins anew once a run lasted ten seconds: the
figures Docker documents for `--restart`.
"""

from dataclasses import dataclass

from corten.engine.values.container import Container, RestartPolicy
from corten.errors import Invalid

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 60.0
STEADY_AFTER_NS = 10_000_000_000


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """How a run ended: `lasted` is ns."""

    exit_code: int
    lasted: int
    manually_stopped: bool = False


def wants_restart(policy: RestartPolicy, ending: ExitInfo, restarts_so_far: int) -> bool:
    """Whether `policy` asks for another start, for a daemon that went on running throughout."""
    if ending.manually_stopped:
        return False
    if policy.name == "on-failure":
        limit = policy.maximum_retry_count
        return ending.exit_code != 0 and (limit == 0 or restarts_so_far < limit)
    return policy.name in ("always", "unless-stopped")


def wants_start_with_daemon(container: Container) -> bool:
    """Whether the policy asks for a start when the daemon finds the container ended (after a reboot of the host).

    `always` starts even what a user had stopped; a container that never ran is left alone."""
    state, policy = container.state, container.host.restart_policy
    if state.started_at == 0:
        return False
    if policy.name == "always":
        return True
    return wants_restart(policy, ExitInfo(state.exit_code, 0, state.manually_stopped), state.restart_count)


def next_pause(previous: float, ending: ExitInfo) -> float:
    """Seconds to wait before the next start; `previous` is the last pause, 0 = none yet."""
    if previous == 0 or ending.lasted >= STEADY_AFTER_NS:
        return FIRST_PAUSE
    return min(previous * 2, LONGEST_PAUSE)


def check_policy(policy: RestartPolicy) -> None:
    """Refuse impossible policies with Docker's texts."""
    if policy.name not in ("", "no", "always", "unless-stopped", "on-failure"):
        known = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        raise Invalid(f"invalid restart policy: unknown policy '{policy.name}'; {known}")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise Invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise Invalid("invalid restart policy: maximum retry count cannot be negative")
