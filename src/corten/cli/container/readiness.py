"""`run --wait`: is a container that was started ready? Healthy, where it has a health check; else one of its published TCP ports
answers; with neither it is ready once it runs."""

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from corten.cli.errors import Failure
from corten.cli.session import Session
from corten.client.errors import ApiError

POLL_SECONDS = 0.1
CONNECT_SECONDS = 1.0
_EVERY_ADDRESS = ("", "0.0.0.0", "::")
_UP = ("running", "paused", "restarting")

Ended = Callable[[], int]


def wait_until_ready(session: Session, container: str, *, timeout: float, ended: Ended) -> int:
    """Returns 0 when it is ready, its exit status when it ended before (1 for 0). `timeout` is in seconds, 0 = none.

    `ended` tells the exit status of a container that is over, gone or not. Raises Failure when it is unhealthy or the time is over.
    """
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while True:
        found = _find(session, container)
        if found is None or found["State"]["Status"] not in _UP:
            status = ended()
            session.warn(f"container {container[:12]} ended with status {status} before it was ready")
            return status or 1
        lacking = _lacking(session, found)
        if not lacking:
            return 0
        if time.monotonic() >= deadline:
            raise Failure(f"container {container[:12]} is not ready after {timeout:g}s: {lacking}")
        time.sleep(POLL_SECONDS)


def _find(session: Session, container: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = session.api.get(f"/containers/{container}/json")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return found


def _lacking(session: Session, found: Mapping[str, Any]) -> str:
    """What it is waited for; nothing when it is ready. Raises Failure for what will not become ready by itself."""
    state = found["State"]
    if state["Status"] == "restarting":
        return f"it is started again after status {state['ExitCode']}"
    health = state.get("Health") or {}
    if health.get("Status", "none") == "none":
        return _lacking_port(session, found)
    if health["Status"] == "unhealthy":
        log = health.get("Log") or [{}]
        raise Failure(f"container {found['Id'][:12]} is unhealthy: {str(log[-1].get('Output', '')).strip() or 'its check says nothing'}")
    return "" if health["Status"] == "healthy" else f"its health is {health['Status']}"


def _lacking_port(session: Session, found: Mapping[str, Any]) -> str:
    published = (found.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = [binding for port, bound in published.items() if port.endswith("/tcp") for binding in bound or ()]
    addresses = [(_host(session, binding["HostIp"]), int(binding["HostPort"])) for binding in bindings]
    if not addresses or any(_answers(address) for address in addresses):
        return ""
    return f"nothing answers on {', '.join(f'{host}:{port}' for host, port in addresses)}"


def _host(session: Session, bound: str) -> str:
    """Where a port of the engine's machine is reached from here."""
    if bound not in _EVERY_ADDRESS:
        return bound
    return session.api.endpoint.address.host or "127.0.0.1"


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, CONNECT_SECONDS):
            return True
    except OSError:
        return False
