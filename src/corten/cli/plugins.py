"""Docker's CLI plug-ins (compose, buildx …): `corten compose up` runs `docker-compose` against our engine."""

import os
from collections.abc import Iterator, Sequence

from corten.cli.session import Session
from corten.client.contexts import DEFAULT
from corten.client.endpoint import resolve

FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""Where packages put them (docs.docker.com/engine/extend/cli_plugins)."""


def find_plugin(session: Session, name: str) -> str | None:
    """The program for `corten NAME`; the user's own folder goes first."""
    if not name.replace("-", "").isalnum():
        return None
    for folder in _folders(session):
        path = os.path.join(folder, f"docker-{name}")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def _folders(session: Session) -> Iterator[str]:
    yield os.path.join(session.config.folder, "cli-plugins")
    extra = session.config.content().get("cliPluginsExtraDirs")
    yield from (str(folder) for folder in extra or ())
    yield from FOLDERS


def run_plugin(session: Session, path: str, words: Sequence[str]) -> int:
    """Becomes the plug-in; it gets the engine that we would have talked to. Does not return."""
    endpoint = resolve(session.choice, session.environ, session.config)
    environ = {**session.environ, "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": session.program}
    if endpoint.context == DEFAULT:
        if endpoint.is_default:
            _ = session.api  # starts the engine when it does not run
        environ["DOCKER_HOST"] = endpoint.host
    else:
        environ.pop("DOCKER_HOST", None)
        environ["DOCKER_CONTEXT"] = endpoint.context
    environ["DOCKER_CONFIG"] = session.config.folder
    session.out.flush()
    os.execve(path, [path, *words], environ)
