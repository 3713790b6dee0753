"""What happened, told to whoever listens: the last events kept in memory, and a queue for each listener."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from corten.engine.values.container import Container

HISTORY = 1024
BACKLOG = 4096
"""Events a listener may fall behind before it is cut off: a client that does not read must not hold the engine's memory."""

Filters = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Event:
    """`time` is ns since the epoch. `attributes` holds what Docker puts under Actor.Attributes."""

    type: str
    action: str
    actor: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time: int = 0


class Events:
    """The bus. Everything here belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._listeners: set[Listener] = set()
        self._followers: list[Callable[[Container, str], None]] = []

    @property
    def listener_count(self) -> int:
        return len(self._listeners)

    def publish(self, type_: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        event = Event(type_, action, actor, attributes, time.time_ns())
        self._history.append(event)
        for listener in list(self._listeners):
            listener.offer(event)

    def container(self, container: Container, action: str, **extra: str) -> None:
        """A container's event: its labels, image and name are the attributes, `extra` comes on top."""
        attributes = container.config.labels | {"image": container.image_ref, "name": container.name} | extra
        self.publish("container", action, container.id, dict(sorted(attributes.items())))
        for follower in self._followers:
            follower(container, action)

    def follow(self, follower: Callable[[Container, str], None]) -> None:
        """From here on `follower` is called with every container that an event is about, and the action. It must not wait."""
        self._followers.append(follower)

    def past(self, since: int, until: int | None, filters: Filters) -> list[Event]:
        """What is still known of the time from `since` to `until` (ns)."""
        return [e for e in self._history if e.time >= since and (until is None or e.time <= until) and matches(e, filters)]

    @contextmanager
    def listening(self, filters: Filters) -> Iterator["Listener"]:
        """Hears everything published from here on."""
        listener = Listener(filters)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def stream(self, filters: Filters, *, since: int | None = None, until: int | None = None) -> AsyncIterator[Event]:
        """Past events from `since`, then those that come, until `until` or for ever. Times are ns.

        Without `since` it begins now, or with all that is known if there is an `until`."""
        begin = 0 if since is None and until is not None else since
        with self.listening(filters) as listener:
            for event in self.past(begin, until, filters) if begin is not None else ():
                yield event
            async for event in listener.until(until):
                yield event


class Listener:
    """One reader of the bus."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG)

    def offer(self, event: Event) -> None:
        if not matches(event, self._filters):
            return
        if self._queue.qsize() >= BACKLOG - 1:
            if not self._queue.full():
                self._queue.put_nowait(None)
            return
        self._queue.put_nowait(event)

    async def until(self, moment: int | None) -> AsyncIterator[Event]:
        """Events as they come, up to `moment` (ns since the epoch); ends early when this reader is too slow."""
        while True:
            left = None if moment is None else (moment - time.time_ns()) / 1e9
            if left is not None and left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    event = await self._queue.get()
            except TimeoutError:
                return
            if event is None:
                return
            yield event


def matches(event: Event, filters: Filters) -> bool:
    """Docker's rules: kinds of filter are joined by "and", values of one kind by "or" (labels by "and"); unknown kinds are ignored."""
    return all(_MATCHERS[kind](event, values) for kind, values in filters.items() if values and kind in _MATCHERS)


def _by_action(event: Event, values: Collection[str]) -> bool:
    return event.action in values or event.action.partition(":")[0] in values


def _by_label(event: Event, values: Collection[str]) -> bool:
    for value in values:
        key, has_value, wanted = value.partition("=")
        if key not in event.attributes or (has_value and event.attributes[key] != wanted):
            return False
    return True


def _by_image(event: Event, values: Collection[str]) -> bool:
    name = event.attributes.get("image" if event.type == "container" else "name", "")
    return any(value in (event.actor, name, _untagged(name)) for value in values)


def _untagged(name: str) -> str:
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _by_actor(event: Event, values: Collection[str]) -> bool:
    name = event.attributes.get("name", "")
    return any(event.actor.startswith(value) or (name and name.startswith(value)) for value in values)


_MATCHERS = {
    "type": lambda event, values: event.type in values,
    "event": _by_action,
    "label": _by_label,
    "image": _by_image,
    "scope": lambda _, values: "local" in values,
    **dict.fromkeys(("container", "daemon", "network", "volume", "plugin", "node", "service", "secret", "config"), _by_actor),
}
