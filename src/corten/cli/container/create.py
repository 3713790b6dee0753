"""`create`, and the first half of `run`: the image is pulled when it is missing, the container made."""

import os
from collections.abc import Mapping
from typing import Any

from corten.cli.container.create_body import Streams, create_body
from corten.cli.container.create_flags import CONTAINER_FLAGS
from corten.cli.errors import Failure, SetupFailure
from corten.cli.flags import Values
from corten.cli.options.environment import proxy_variables, with_proxies
from corten.cli.references import check_name, normalized_platform
from corten.cli.session import Action, Session
from corten.client.errors import ApiError, CannotConnect

PULL_CHOICES = ("always", "missing", "never")


def create(session: Session, values: Values, arguments: list[str]) -> int:
    session.say(make(session, values, arguments, Streams(values, detached=False)))
    return 0


def make(session: Session, values: Values, arguments: list[str], streams: Streams, *, console: tuple[int, int] = (0, 0)) -> str:
    """Creates the container and returns its id.

    Raises SetupFailure for flags that contradict each other, Failure for the rest: a bad name, the engine's refusal.
    """
    if values.text("pull") not in PULL_CHOICES:
        choices = '"always", "missing" or "never"'
        raise SetupFailure(f"invalid pull option: '{values.text('pull')}': must be one of {choices}")
    try:
        body = create_body(values, arguments, streams)
    except ValueError as error:
        raise SetupFailure(str(error)) from None
    try:
        check_name(arguments[0])
    except ValueError as error:
        raise Failure(str(error)) from None
    body["HostConfig"]["ConsoleSize"] = list(console)
    if proxies := session.config.table("proxies"):
        body["Env"] = with_proxies(body["Env"] or (), proxy_variables(proxies, session.api.endpoint.host)) or None
    if values.on("use-api-socket"):
        _give_socket(session, body)
    cidfile = values.text("cidfile")
    if cidfile and os.path.exists(cidfile):
        raise Failure(f"container ID file found, make sure the other container isn't running or delete {cidfile}")
    made = _create(session, values, arguments[0], body)
    for warning in made.get("Warnings") or ():
        session.warn(f"WARNING: {warning}")
    if cidfile:
        _write_id(cidfile, made["Id"])
    return str(made["Id"])


def _create(session: Session, values: Values, image: str, body: Mapping[str, Any]) -> dict[str, Any]:
    platform = values.text("platform") and normalized_platform(values.text("platform"))
    query = {k: v for k, v in (("name", values.text("name")), ("platform", platform)) if v}
    try:
        if values.text("pull") == "always":
            _pull(session, values, image, platform)
        try:
            return _posted(session, query, body)
        except ApiError as error:
            if error.status != 404 or values.text("pull") != "missing":
                raise
        from corten.cli.references import normalized

        _, tag, familiar = normalized(image)
        session.warn(f"Unable to find image '{familiar if tag else familiar + ':latest'}' locally")
        _pull(session, values, image, platform)
        return _posted(session, query, body)
    except (ApiError, CannotConnect) as error:
        raise Failure(str(error)) from None


def _posted(session: Session, query: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = session.api.post("/containers/create", query, body)
    return made


def _pull(session: Session, values: Values, image: str, platform: str) -> None:
    """Progress goes to stderr: stdout belongs to the container."""
    from corten.cli.image.pull import pull_image

    pull_image(session, image, platform=platform, quiet=values.on("quiet"), out=session.err)


def _give_socket(session: Session, body: dict[str, Any]) -> None:
    """The engine's own socket, at the place where Docker's clients look for it."""
    address = session.api.endpoint.address
    if address.scheme != "unix":
        raise Failure("flag --use-api-socket can only be used with unix sockets")
    mount = {"Type": "bind", "Source": address.path, "Target": "/var/run/docker.sock", "BindOptions": {}}
    body["HostConfig"].setdefault("Mounts", []).append(mount)


def _write_id(path: str, container: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(container)
    except OSError as error:
        raise Failure(f"failed to write the container ID ({container}) to file: {error.strerror}") from None


CREATE = Action(create, CONTAINER_FLAGS)
