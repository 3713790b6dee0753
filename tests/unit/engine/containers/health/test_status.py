"""The state machine of health checks."""

from dataclasses import replace

import pytest

from corten.engine.containers.health.status import after_probe, find_check, probe_command, probe_interval, started, stopped
from corten.engine.values.container import ContainerConfig, Health, HealthCheck, HealthResult

SECOND = 10**9
CHECK = HealthCheck(test=("CMD", "true"), interval=10 * SECOND, start_period=60 * SECOND, start_interval=SECOND, retries=2)


def result(code: int, start: int = 0) -> HealthResult:
    return HealthResult(start=start, end=start + 1, exit_code=code, output="")


def after(health: Health, *codes: int, at: int = 100 * SECOND) -> Health:
    for code in codes:
        health = after_probe(health, CHECK, result(code, at), started_at=0)
    return health


@pytest.mark.parametrize(
    ("before", "codes", "status", "streak"),
    [
        ("starting", [0], "healthy", 0),
        ("starting", [1], "starting", 1),
        ("starting", [1, 2], "unhealthy", 2),
        ("starting", [1, 0], "healthy", 0),
        ("healthy", [1], "healthy", 1),
        ("healthy", [1, 0, 1], "healthy", 1),
        ("healthy", [1, -1], "unhealthy", 2),
        ("unhealthy", [1], "unhealthy", 1),
        ("unhealthy", [0], "healthy", 0),
    ],
)
def test_results(before: str, codes: list[int], status: str, streak: int) -> None:
    found = after(Health(status=before), *codes)  # type: ignore[arg-type]
    assert (found.status, found.failing_streak) == (status, streak)


def test_three_failures_are_the_default() -> None:
    check = replace(CHECK, retries=0)
    health = Health()
    for expected in ("starting", "starting", "unhealthy"):
        health = after_probe(health, check, result(1, 100 * SECOND), started_at=0)
        assert health.status == expected


def test_failures_of_the_start_period_are_logged_and_not_counted() -> None:
    found = after(Health(), 1, 1, 1, at=59 * SECOND)
    assert (found.status, found.failing_streak, len(found.log)) == ("starting", 0, 3)
    assert after(Health(status="healthy"), 1, at=59 * SECOND).failing_streak == 1


def test_the_last_five_are_kept() -> None:
    found = after(Health(), *range(7))
    assert [r.exit_code for r in found.log] == [2, 3, 4, 5, 6]


def test_a_start_keeps_the_log() -> None:
    ended = stopped(after(Health(), 0, 1))
    assert ended.status == "unhealthy"
    again = started(ended)
    assert (again.status, again.failing_streak, again.log) == ("starting", 0, ended.log)
    assert started(None) == Health()


def test_intervals() -> None:
    starting, healthy = Health(), Health(status="healthy")
    assert probe_interval(CHECK, starting, age=0) == SECOND
    assert probe_interval(CHECK, starting, age=60 * SECOND) == 10 * SECOND
    assert probe_interval(CHECK, healthy, age=0) == 10 * SECOND
    plain = HealthCheck(test=("CMD", "true"), start_period=SECOND)
    assert probe_interval(plain, starting, age=0) == 5 * SECOND
    assert probe_interval(plain, healthy, age=0) == 30 * SECOND


@pytest.mark.parametrize("test", [(), ("NONE",), ("WHAT", "x")])
def test_no_check(test: tuple[str, ...]) -> None:
    assert find_check(ContainerConfig(healthcheck=HealthCheck(test=test))) is None


@pytest.mark.parametrize(
    ("test", "shell", "command"),
    [
        (("CMD", "a", "b"), None, ("a", "b")),
        (("CMD-SHELL", "a b"), None, ("/bin/sh", "-c", "a b")),
        (("CMD-SHELL", "a b"), ("/bin/bash", "-ec"), ("/bin/bash", "-ec", "a b")),
    ],
)
def test_commands(test: tuple[str, ...], shell: tuple[str, ...] | None, command: tuple[str, ...]) -> None:
    config = ContainerConfig(healthcheck=HealthCheck(test=test), shell=shell)
    assert find_check(config) is config.healthcheck
    assert probe_command(config) == command
