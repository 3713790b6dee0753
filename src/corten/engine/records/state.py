"""The container's states as one table: what moves them, and which operation each of them refuses.

    created ──started──▶ running ◀──paused/unpaused──▶ paused
                          │  ▲                            │
                        died │ started                   died
                          ▼  │                            ▼
             exited ◀─gave_up─ restarting ◀─will_restart─ exited
    any ──removing──▶ removing ──remove_failed──▶ dead

This module changes values only; nothing here waits, writes or locks. Texts are Docker 28's: clients read them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from corten.engine.values.container import Container, State, Status
from corten.errors import Conflict, EngineError, NotModified

Event = Literal["started", "paused", "unpaused", "died", "will_restart", "gave_up", "removing", "remove_failed"]
Operation = Literal["start", "stop", "kill", "pause", "unpause", "exec", "attach", "resize", "top", "remove", "update"]

_ALL: Final[tuple[Status, ...]] = ("created", "running", "paused", "restarting", "exited", "dead")

TRANSITIONS: Final[Mapping[tuple[Status, Event], Status]] = {
    ("created", "started"): "running",
    ("exited", "started"): "running",
    ("restarting", "started"): "running",
    ("running", "paused"): "paused",
    ("paused", "unpaused"): "running",
    ("created", "died"): "exited",  # ended before the daemon could note the start
    ("running", "died"): "exited",
    ("paused", "died"): "exited",
    ("restarting", "died"): "exited",
    ("exited", "will_restart"): "restarting",
    ("restarting", "gave_up"): "exited",
    ("removing", "remove_failed"): "dead",
    **{(status, "removing"): "removing" for status in _ALL},
}

_NOT_RUNNING = "container {id} is not running"
_RESTARTING = "Container {id} is restarting, wait until the container is running"
_UNREMOVABLE = 'cannot remove container "{name}": container is {why}'
_MARKED = "container is marked for removal and cannot be started"

_Refusals = Mapping[Status, tuple[type[EngineError], str]]


def _unless_running(text: str) -> _Refusals:
    down: tuple[Status, ...] = ("created", "exited", "dead", "removing")
    return dict.fromkeys(down, (Conflict, text))


REFUSALS: Final[Mapping[Operation, _Refusals]] = {
    "start": {
        "running": (NotModified, "Container is already started"),
        "restarting": (NotModified, "Container is already started"),
        "paused": (Conflict, "cannot start a paused container, try unpause instead"),
        "removing": (Conflict, _MARKED),
        "dead": (Conflict, _MARKED),
    },
    "stop": {
        "created": (NotModified, "Container is already stopped"),
        "exited": (NotModified, "Container is already stopped"),
        "dead": (NotModified, "Container is already stopped"),
        "removing": (NotModified, "Container is already stopped"),
    },
    "kill": _unless_running("cannot kill container: {ref}: " + _NOT_RUNNING),
    "pause": {
        **_unless_running(_NOT_RUNNING),
        "paused": (Conflict, "Container {id} is already paused"),
        "restarting": (Conflict, _RESTARTING),
    },
    "unpause": {status: (EngineError, "Container {id} is not paused") for status in (*_ALL, "removing") if status != "paused"},
    "exec": {
        **_unless_running(_NOT_RUNNING),
        "paused": (Conflict, "Container {ref} is paused, unpause the container before exec"),
        "restarting": (Conflict, _RESTARTING),
    },
    "attach": {
        "paused": (Conflict, "container {ref} is paused, unpause the container before attach"),
        "restarting": (Conflict, "container {ref} is restarting, wait until the container is running"),
        "removing": (Conflict, "container {ref} is marked for removal"),
    },
    "resize": _unless_running(_NOT_RUNNING),
    "top": {**_unless_running(_NOT_RUNNING), "restarting": (Conflict, _RESTARTING)},
    "remove": {
        "running": (Conflict, _UNREMOVABLE.replace("{why}", "running: stop the container before removing or force remove")),
        "restarting": (Conflict, _UNREMOVABLE.replace("{why}", "restarting: stop the container before removing or force remove")),
        "paused": (Conflict, _UNREMOVABLE.replace("{why}", "paused and must be unpaused first")),
    },
    "update": {
        "removing": (Conflict, 'Cannot update container {id}: Container is marked for removal and cannot be "update".'),
        "dead": (Conflict, 'Cannot update container {id}: Container is marked for removal and cannot be "update".'),
    },
}


def require(operation: Operation, container: Container, ref: str = "") -> None:
    """Raise what Docker answers when the container's state forbids `operation`; `ref` is how the user named it."""
    refusal = REFUSALS[operation].get(container.state.status)
    if refusal is None:
        return
    kind, text = refusal
    raise kind(text.format(id=container.id, name=container.name, ref=ref or container.name), reason=f"state-forbids-{operation}")


def transition(state: State, event: Event) -> State:
    """The state after `event`; an event that the table does not allow is a bug of the engine."""
    return replace(state, status=TRANSITIONS[state.status, event])


def is_up(state: State) -> bool:
    """Docker's `Running`: true while paused and while waiting for a restart as well."""
    return state.status in ("running", "paused", "restarting")


def has_process(state: State) -> bool:
    return state.status in ("running", "paused")


def started(state: State, *, pid: int, at: int) -> State:
    return replace(transition(state, "started"), pid=pid, started_at=at, error="", oom_killed=False, exit_code=0, manually_stopped=False)


def died(state: State, *, exit_code: int, at: int, oom_killed: bool) -> State:
    return replace(transition(state, "died"), pid=0, exit_code=exit_code, finished_at=at, oom_killed=oom_killed)


def failed_to_start(state: State, *, exit_code: int, message: str) -> State:
    """A container that could not start keeps its status (created stays created) and remembers why."""
    status: Status = "exited" if state.status == "restarting" else state.status
    return replace(state, status=status, pid=0, exit_code=exit_code, error=message)
