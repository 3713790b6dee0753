"""What a command works with: the engine, the configuration, the terminal. One per run of the program."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

from corten import __version__
from corten.cli.flags import Flag, Values
from corten.client.api import Api
from corten.client.configfile import ConfigFile
from corten.client.endpoint import Choice, Endpoint, context_name, resolve
from corten.client.errors import CannotConnect


class Action(NamedTuple):
    """A command's code: its flags, and what runs with them; `run` returns the exit status."""

    run: Callable[["Session", Values, list[str]], int]
    flags: tuple[Flag, ...] = ()


class Session:
    """`program` is the name we were called by; errors and help show it. `invoked` is the command as it was typed ("container ls")."""

    def __init__(
        self,
        *,
        program: str,
        environ: Mapping[str, str],
        out: TextIO,
        err: TextIO,
        config: ConfigFile,
        connect: "Callable[[Session, Endpoint], Api] | None" = None,
    ) -> None:
        """`connect` makes the Api of an endpoint, when it is not to be made in the usual way."""
        self.program = program
        self.environ = environ
        self.out = out
        self.err = err
        self.config = config
        self.choice = Choice()
        self.invoked = ""
        self.debug = False
        self._api: Api | None = None
        self._connect = connect or connected

    @property
    def api(self) -> Api:
        """The engine. Where nobody named one and none answers on the usual socket, it is started."""
        if self._api is None:
            self._api = self._connect(self, resolve(self.choice, self.environ, self.config))
        return self._api

    @property
    def context(self) -> str:
        return context_name(self.choice, self.environ, self.config)

    def close(self) -> None:
        """Gives the connections back."""
        if self._api is not None:
            self._api.close()

    def say(self, text: str = "") -> None:
        self.out.write(text + "\n")

    def say_now(self, text: str) -> None:
        """For who reads along: a pipe would otherwise get it at the end."""
        self.out.write(text + "\n")
        self.out.flush()

    def warn(self, text: str) -> None:
        """To stderr, behind all that was said before."""
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()

    def asked(self) -> str:
        """A line from the user; "" at the end of input."""
        return sys.stdin.readline()


def connected(session: Session, endpoint: Endpoint) -> Api:
    """An Api whose engine answers, if it was Corten's usual one: that is started when it does not run."""
    agent = f"Corten-Client/{__version__} (linux)"
    headers = {str(k): str(v) for k, v in session.config.table("HttpHeaders").items()}
    api = Api(endpoint, agent=agent, headers=headers, pinned=session.environ.get("DOCKER_API_VERSION", ""))
    if endpoint.is_default:
        _ensure_started(api)
    return api


def _ensure_started(api: Api) -> None:
    def answers() -> bool:
        try:
            return bool(api.version)
        except CannotConnect:
            return False

    path = api.endpoint.address.path
    if answers() or (os.path.exists(path) and not os.access(path, os.W_OK)):
        return
    from corten.client.startup import start_daemon

    start_daemon(path, answers=answers)


def occupy_standard_streams() -> None:
    """A closed stdin, stdout or stderr becomes /dev/null: otherwise the next socket would take its number, and be read as input."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def system_session(argv0: str, environ: Mapping[str, str], folder: str) -> Session:
    """The session of a real run. Text goes out as UTF-8; bytes that are none survive."""
    occupy_standard_streams()
    sys.stdout = sys.stdout or os.fdopen(os.dup(1), "w")
    sys.stderr = sys.stderr or os.fdopen(os.dup(2), "w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    name = os.path.basename(argv0)
    return Session(
        program=name if name in {"docker", "corten"} else "corten",
        environ=environ,
        out=sys.stdout,
        err=sys.stderr,
        config=ConfigFile(folder),
    )


def load(target: str) -> Action:
    """The action that a row of the table names."""
    from importlib import import_module

    module, _, attribute = target.partition(":")
    action: Any = vars(import_module(f"corten.cli.{module}"))[attribute]
    assert isinstance(action, Action), target
    return action
