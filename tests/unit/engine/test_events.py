"""The event bus."""

import asyncio
import time

import pytest

from corten.engine.events import BACKLOG, HISTORY, Event, Events, matches
from corten.engine.values.container import ContainerConfig
from tests.unit.engine.containers.values import container

EVENT = Event("container", "exec_create: sh -c x", "abc123", {"image": "busybox:1", "name": "web", "a": "b"})
NETWORK = Event("network", "connect", "net1", {"container": "abc123", "name": "bridge"})


@pytest.mark.parametrize(
    ("filters", "event", "passes"),
    [
        ({}, EVENT, True),
        ({"type": ["container"]}, EVENT, True),
        ({"type": ["container"]}, NETWORK, False),
        ({"event": ["exec_create"]}, EVENT, True),
        ({"event": ["exec"]}, EVENT, False),
        ({"event": ["start", "connect"]}, NETWORK, True),
        ({"container": ["abc"]}, EVENT, True),
        ({"container": ["web"]}, EVENT, True),
        ({"container": ["web"]}, NETWORK, False),
        ({"image": ["busybox"]}, EVENT, True),
        ({"image": ["busybox:1"]}, EVENT, True),
        ({"image": ["busybox:2"]}, EVENT, False),
        ({"label": ["a"]}, EVENT, True),
        ({"label": ["a=b"]}, EVENT, True),
        ({"label": ["a=c"]}, EVENT, False),
        ({"label": ["a", "z"]}, EVENT, False),
        ({"scope": ["swarm"]}, EVENT, False),
        ({"unheard-of": ["x"]}, EVENT, True),
        ({"type": ["container"], "event": ["die"]}, EVENT, False),
    ],
)
def test_filters(filters: dict[str, list[str]], event: Event, passes: bool) -> None:
    assert matches(event, filters) is passes


async def collected(events: Events, count: int, **times: int) -> list[str]:
    found: list[str] = []
    stream = events.stream({}, **times)
    async for event in stream:
        found.append(event.action)
        if len(found) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return found


async def test_a_listener_hears_past_and_present_in_order() -> None:
    events = Events()
    events.publish("image", "pull", "x", {})
    since = time.time_ns()
    events.publish("image", "tag", "x", {})
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(collected(events, 2, since=since))
        while not events.listener_count:
            await asyncio.sleep(0)
        events.publish("image", "delete", "x", {})
    assert listening.result() == ["tag", "delete"]
    assert events.listener_count == 0


async def test_until_ends_the_stream() -> None:
    events = Events()
    events.publish("image", "pull", "x", {})
    assert await collected(events, 9, since=0, until=time.time_ns()) == ["pull"]
    assert await collected(events, 9, since=0, until=time.time_ns() + 10_000_000) == ["pull"]


def test_history_is_bounded() -> None:
    events = Events()
    for number in range(HISTORY + 5):
        events.publish("image", str(number), "x", {})
    assert [e.action for e in events.past(0, None, {})] == [str(n) for n in range(5, HISTORY + 5)]


async def test_a_listener_that_does_not_read_is_cut_off() -> None:
    events = Events()
    with events.listening({}) as listener:
        for _ in range(BACKLOG + 10):
            events.publish("image", "pull", "x", {})
        assert len([event async for event in listener.until(None)]) == BACKLOG - 1


def test_a_containers_attributes_are_its_labels_image_name_and_more() -> None:
    events = Events()
    value = container(config=ContainerConfig(image="busybox", labels={"z": "1"}))
    events.container(value, "die", exitCode="0")
    (event,) = events.past(0, None, {})
    assert list(event.attributes.items()) == [("exitCode", "0"), ("image", "busybox"), ("name", "web"), ("z", "1")]
