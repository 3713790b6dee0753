"""One command on many names: what succeeded is printed as it is done, what failed is reported, and the status tells."""

from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from corten.cli.session import Session
from corten.client.api import Api
from corten.client.errors import ApiError, CannotConnect

Act = Callable[[Api, str], Any]
AT_ONCE = 50


class Forgiven(NamedTuple):
    """Errors that contain `text` leave the status at 0; `silent`: they are not shown either."""

    text: str
    silent: bool = False


def each(
    session: Session,
    names: Sequence[str],
    act: Act,
    *,
    at_once: bool = False,
    shown: Callable[[Any], str] | None = None,
    forgiven: Forgiven | None = None,
) -> int:
    """Does `act` to every name. Prints the name, or what `shown` makes of the result; errors go to stderr and make the status 1.

    `at_once`: side by side over several connections, for what the engine takes its time with.
    """
    outcomes = side_by_side(session.api, names, act) if at_once and len(names) > 1 else _in_turn(session.api, names, act)
    status = 0
    failures = []
    for name, outcome in outcomes:
        if isinstance(outcome, Exception):
            excuse = forgiven if forgiven and forgiven.text in str(outcome) else None
            status = status if excuse else 1
            if not (excuse and excuse.silent):
                failures.append(str(outcome))
        else:
            session.say_now(shown(outcome) if shown else name)
    for failure in failures:
        session.warn(failure)
    return status


def _attempt(api: Api, name: str, act: Act) -> Any:
    try:
        return act(api, name)
    except (ApiError, CannotConnect) as error:
        return error


def _in_turn(api: Api, names: Sequence[str], act: Act) -> Iterator[tuple[str, Any]]:
    for name in names:
        yield name, _attempt(api, name, act)


def side_by_side(api: Api, names: Sequence[str], act: Act) -> Iterator[tuple[str, Any]]:
    """Every name with its result, or with its ApiError or CannotConnect.

    Threads take names in order. Results come in the order of names, each as soon as it and those before it are there.
    """
    results: dict[int, Any] = {}
    ready = [allocate_lock() for _ in names]
    for lock in ready:
        lock.acquire()
    pending = iter(range(len(names)))
    turn = allocate_lock()

    def work(own: Api) -> None:
        while True:
            with turn:
                index = next(pending, None)
            if index is None:
                own.close()
                return
            with _released(ready[index]):
                results[index] = _failing(own, names[index], act)

    for _ in range(min(AT_ONCE, len(names))):
        start_new_thread(work, (api.sibling(),))
    for index, name in enumerate(names):
        with ready[index]:
            outcome = results[index]
        if isinstance(outcome, Exception) and not isinstance(outcome, ApiError | CannotConnect):
            raise outcome
        yield name, outcome


@contextmanager
def _released(lock: Any) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _failing(api: Api, name: str, act: Act) -> Any:
    """As `_attempt`; any other error is kept for the main thread to raise."""
    try:
        return _attempt(api, name, act)
    except Exception as error:  # noqa: BLE001  raised again in the main thread
        return error
