"""The state table, played through."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.engine.records.state import (
    REFUSALS,
    TRANSITIONS,
    Event,
    Operation,
    died,
    failed_to_start,
    has_process,
    is_up,
    require,
    started,
    transition,
)
from corten.engine.values.container import State, Status
from corten.errors import Conflict, EngineError, NotModified
from tests.unit.engine.containers.values import container

EVENTS: tuple[Event, ...] = get_args(Event)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
STATUSES: tuple[Status, ...] = get_args(Status)

PLAYBOOKS: list[tuple[list[Event], Status]] = [
    (["started", "died"], "exited"),
    (["started", "paused", "unpaused", "died"], "exited"),
    (["started", "paused", "died"], "exited"),
    (["started", "died", "will_restart", "started"], "running"),
    (["started", "died", "will_restart", "gave_up", "started"], "running"),
    (["removing", "remove_failed", "removing"], "removing"),
]


@pytest.mark.parametrize(("events", "end"), PLAYBOOKS)
def test_playbook(events: list[Event], end: Status) -> None:
    state = State()
    for event in events:
        state = transition(state, event)
    assert state.status == end


def test_every_status_can_be_reached() -> None:
    assert {"created", *TRANSITIONS.values()} == set(STATUSES)


def test_a_transition_that_the_table_lacks_is_a_bug() -> None:
    with pytest.raises(KeyError):
        transition(State(status="created"), "paused")


@given(st.lists(st.sampled_from(EVENTS)))
def test_a_container_that_is_up_never_counts_as_removable(events: list[Event]) -> None:
    state = State()
    for event in events:
        if (state.status, event) in TRANSITIONS:
            state = transition(state, event)
    with_state = replace(container(), state=state)
    if is_up(state):
        with pytest.raises(Conflict):
            require("remove", with_state)
    else:
        require("remove", with_state)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refusals_name_known_states(operation: Operation) -> None:
    assert set(REFUSALS[operation]) <= set(STATUSES)


TEXTS: list[tuple[Operation, Status, type[EngineError], str]] = [
    ("start", "running", NotModified, "Container is already started"),
    ("start", "paused", Conflict, "cannot start a paused container, try unpause instead"),
    ("stop", "exited", NotModified, "Container is already stopped"),
    ("kill", "exited", Conflict, "cannot kill container: mine: container {id} is not running"),
    ("pause", "paused", Conflict, "Container {id} is already paused"),
    ("unpause", "running", EngineError, "Container {id} is not paused"),
    ("exec", "created", Conflict, "container {id} is not running"),
    ("exec", "paused", Conflict, "Container mine is paused, unpause the container before exec"),
    ("exec", "restarting", Conflict, "Container {id} is restarting, wait until the container is running"),
    ("attach", "paused", Conflict, "container mine is paused, unpause the container before attach"),
    ("remove", "paused", Conflict, 'cannot remove container "web": container is paused and must be unpaused first'),
    (
        "remove",
        "running",
        Conflict,
        'cannot remove container "web": container is running: stop the container before removing or force remove',
    ),
]


@pytest.mark.parametrize(("operation", "status", "kind", "text"), TEXTS)
def test_refusal_has_dockers_words(operation: Operation, status: Status, kind: type[EngineError], text: str) -> None:
    value = container(status=status)
    with pytest.raises(EngineError) as caught:
        require(operation, value, "mine")
    assert type(caught.value) is kind
    assert caught.value.message == text.format(id=value.id)


def test_a_run_from_start_to_end() -> None:
    state = started(State(error="before", exit_code=127), pid=7, at=100)
    assert (state.status, state.pid, state.started_at, state.error, state.exit_code) == ("running", 7, 100, "", 0)
    state = died(state, exit_code=3, at=200, oom_killed=True)
    assert (state.status, state.pid, state.exit_code, state.finished_at, state.oom_killed) == ("exited", 0, 3, 200, True)


def test_a_failed_start_keeps_the_status_but_ends_a_restart() -> None:
    assert failed_to_start(State(), exit_code=127, message="no").status == "created"
    assert failed_to_start(State(status="restarting"), exit_code=127, message="no").status == "exited"


def test_up_and_having_a_process_differ_while_waiting_to_restart() -> None:
    waiting = State(status="restarting")
    assert is_up(waiting)
    assert not has_process(waiting)
