"""Restart policies and their pauses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.containers.restart_policy import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    ExitInfo,
    check_policy,
    next_pause,
    wants_restart,
    wants_start_with_daemon,
)
from corten.engine.values.container import HostConfig, RestartPolicy, State
from corten.errors import Invalid
from tests.unit.engine.containers.values import SECOND, container

ALWAYS = RestartPolicy(name="always")
UNLESS_STOPPED = RestartPolicy(name="unless-stopped")
TWICE = RestartPolicy(name="on-failure", maximum_retry_count=2)


@pytest.mark.parametrize(
    ("policy", "ending", "so_far", "again"),
    [
        (RestartPolicy(), ExitInfo(1, 0), 0, False),
        (ALWAYS, ExitInfo(0, 0), 99, True),
        (ALWAYS, ExitInfo(137, 0, manually_stopped=True), 0, False),
        (UNLESS_STOPPED, ExitInfo(0, 0), 0, True),
        (RestartPolicy(name="on-failure"), ExitInfo(1, 0), 1000, True),
        (RestartPolicy(name="on-failure"), ExitInfo(0, 0), 0, False),
        (TWICE, ExitInfo(1, 0), 1, True),
        (TWICE, ExitInfo(1, 0), 2, False),
    ],
)
def test_after_an_end(policy: RestartPolicy, ending: ExitInfo, so_far: int, again: bool) -> None:
    assert wants_restart(policy, ending, so_far) is again


@pytest.mark.parametrize(
    ("policy", "state", "starts"),
    [
        (ALWAYS, State(status="created"), False),
        (ALWAYS, State(status="exited", started_at=1, manually_stopped=True), True),
        (UNLESS_STOPPED, State(status="exited", started_at=1, manually_stopped=True), False),
        (UNLESS_STOPPED, State(status="exited", started_at=1), True),
        (TWICE, State(status="exited", started_at=1, exit_code=255), True),
        (TWICE, State(status="exited", started_at=1, exit_code=0), False),
    ],
)
def test_with_the_daemon(policy: RestartPolicy, state: State, starts: bool) -> None:
    value = replace(container(host=HostConfig(restart_policy=policy)), state=state)
    assert wants_start_with_daemon(value) is starts


def test_pauses_double_up_to_a_minute() -> None:
    pauses = []
    pause = 0.0
    for _ in range(12):
        pause = next_pause(pause, ExitInfo(1, 0))
        pauses.append(pause)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_steady_run_begins_anew() -> None:
    assert next_pause(32.0, ExitInfo(1, 10 * SECOND)) == FIRST_PAUSE
    assert next_pause(32.0, ExitInfo(1, 10 * SECOND - 1)) == LONGEST_PAUSE


@given(st.floats(0, LONGEST_PAUSE), st.integers(0, 100 * SECOND))
def test_a_pause_is_never_outside_its_bounds(previous: float, lasted: int) -> None:
    assert min(FIRST_PAUSE, 2 * previous or FIRST_PAUSE) <= next_pause(previous, ExitInfo(1, lasted)) <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (RestartPolicy(name="always", maximum_retry_count=3), "maximum retry count can only be used with 'on-failure'"),
        (RestartPolicy(name="on-failure", maximum_retry_count=-3), "maximum retry count cannot be negative"),
    ],
)
def test_impossible_policies(policy: RestartPolicy, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        check_policy(policy)
