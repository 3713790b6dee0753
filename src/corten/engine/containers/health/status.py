"""A health check as a state machine: values only; nothing here waits or runs.

                        success                            `retries` failures in a row
    starting ───────────────────────▶ healthy ──────────────────────────────────────────▶ unhealthy
        └── `retries` failures, those of the start period not counted ──▶ unhealthy ──success──▶ healthy

A start makes it starting, with the log of earlier runs kept; what does not run, or is paused, is unhealthy. All as in Docker.
"""

from dataclasses import replace
from typing import Final

from corten.engine.values.container import ContainerConfig, Health, HealthCheck, HealthResult

LOG_ENTRIES: Final = 5
INTERVAL: Final = 30 * 10**9
TIMEOUT: Final = 30 * 10**9
START_INTERVAL: Final = 5 * 10**9
RETRIES: Final = 3
_SHELL = ("/bin/sh", "-c")


def find_check(config: ContainerConfig) -> HealthCheck | None:
    """The check that is to be run: none without a test, for NONE, and for a kind of test that nobody knows."""
    check = config.healthcheck
    return check if check is not None and check.test and check.test[0] in ("CMD", "CMD-SHELL") else None


def probe_command(config: ContainerConfig) -> tuple[str, ...]:
    """What `find_check`'s test executes; a shell form runs in the container's own SHELL."""
    assert config.healthcheck is not None
    kind, *words = config.healthcheck.test
    return tuple(words) if kind == "CMD" else (*(config.shell or _SHELL), *words)


def probe_timeout(check: HealthCheck) -> int:
    return check.timeout or TIMEOUT


def probe_interval(check: HealthCheck, health: Health, *, age: int) -> int:
    """Nanoseconds between the end of one probe and the next; `age` is how long the container has run, in ns."""
    if health.status == "starting" and age < check.start_period:
        return check.start_interval or START_INTERVAL
    return check.interval or INTERVAL


def started(health: Health | None) -> Health:
    return replace(health or Health(), status="starting", failing_streak=0)


def stopped(health: Health) -> Health:
    """Nobody looks after it any more."""
    return replace(health, status="unhealthy")


def after_probe(health: Health, check: HealthCheck, result: HealthResult, *, started_at: int) -> Health:
    """What a probe's result makes of it; `started_at` is the container's, in ns since the epoch."""
    log = (*health.log, result)[-LOG_ENTRIES:]
    if result.exit_code == 0:
        return Health(status="healthy", log=log)
    if health.status == "starting" and result.start - started_at < check.start_period:
        return replace(health, log=log)
    streak = health.failing_streak + 1
    return Health(status="unhealthy" if streak >= (check.retries or RETRIES) else health.status, failing_streak=streak, log=log)
