"""The `corten` command: global flags, the command's flags, the command; errors become text and an exit status."""

import os
import sys
from collections.abc import Sequence

from corten import __version__
from corten.cli import commands
from corten.cli.errors import ENGINE_FAILED, Failure, SetupFailure
from corten.cli.flags import Flag, FlagError, Parser, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.session import Session, load, system_session
from corten.client.configfile import ConfigFile, default_folder
from corten.client.endpoint import Choice, TlsChoice
from corten.client.errors import ApiError, BadEndpoint, CannotConnect

INTERRUPTED = 130
GLOBAL_FLAGS = (
    Flag("config", STRING, "Folder of the client's configuration (default ~/.docker)"),
    Flag("context", STRING, "Name of the context to use (goes before DOCKER_HOST and the current context)", short="c"),
    Flag("debug", BOOL, "Show tracebacks of errors", short="D"),
    Flag("host", STRING, "Address of the engine: unix:///path, tcp://host:port", short="H"),
    Flag("log-level", STRING, "Ignored, for compatibility with Docker", short="l", default="info"),
    Flag("tls", BOOL, "Use TLS"),
    Flag("tlscacert", STRING, "Authority that the engine's certificate must come from (default ca.pem)"),
    Flag("tlscert", STRING, "Certificate to show the engine (default cert.pem)"),
    Flag("tlskey", STRING, "Key of that certificate (default key.pem)"),
    Flag("tlsverify", BOOL, "Use TLS and check the engine's certificate"),
    Flag("version", BOOL, "Print the version and quit", short="v"),
)


def main() -> int:
    """Runs the program's arguments and ends the process: taking the interpreter down properly would add 5 ms to each command."""
    session = system_session(sys.argv[0], os.environ, default_folder(os.environ))
    try:
        status = _finished(session, sys.argv[1:])
    except BrokenPipeError:
        _die_of_broken_pipe()
    except KeyboardInterrupt:
        status = INTERRUPTED
    os._exit(status)


def _finished(session: Session, words: Sequence[str]) -> int:
    """The status, with everything written."""
    try:
        status = run(session, words)
        if session.config.complaint:
            session.warn(session.config.complaint)
        session.out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if session.debug:
            raise
        session.err.write(f"{session.program}: {error}\n")
        status = 1
    session.err.flush()
    return status


def _die_of_broken_pipe() -> None:
    """As other programs whose reader has gone: by SIGPIPE, without a word."""
    from signal import SIG_DFL, SIGPIPE, signal

    signal(SIGPIPE, SIG_DFL)
    os.kill(os.getpid(), SIGPIPE)


def run(session: Session, words: Sequence[str]) -> int:
    """One command line, with its errors turned into text on stderr."""
    try:
        return _run(session, words)
    except SetupFailure as failure:
        session.warn(f"{session.program}: {failure.message}\n\nRun '{session.program} {session.invoked} --help' for more information")
        return failure.status
    except Failure as failure:
        if failure.message:
            session.warn(failure.message)
        return failure.status
    except (ApiError, CannotConnect, BadEndpoint) as error:
        if session.debug:
            raise
        session.warn(str(error))
        return 1
    except ConnectionError as error:
        if isinstance(error, BrokenPipeError) or session.debug:
            raise
        session.warn(f"the connection to the engine broke: {error}")
        return 1


def _run(session: Session, words: Sequence[str]) -> int:
    try:
        values, rest = Parser(GLOBAL_FLAGS, interspersed=False).parse(words)
    except FlagError as error:
        usage = f"Usage:  {session.program} [OPTIONS] COMMAND [ARG...]"
        raise Failure(f"{error}\n\n{usage}\n\nRun '{session.program} --help' for more information", ENGINE_FAILED) from None
    _apply(session, values)
    if rest[:1] == ["__complete"]:
        from corten.cli.completion import complete

        return complete(session, rest[1:])
    if values.on("help") or rest[:1] == ["help"]:
        return _show_help(session, rest[1:] if rest[:1] == ["help"] else rest)
    if not rest:
        if values.on("version"):
            session.say(f"{session.program.capitalize()} version {__version__}, build {build()}")
            return 0
        return _show_help(session, [])
    return _dispatch(session, rest)


def build() -> str:
    """What stands in the place of Docker's git commit."""
    return f"py{sys.version_info.major}.{sys.version_info.minor}"


def _apply(session: Session, values: Values) -> None:
    if values.text("log-level") not in {"debug", "info", "warn", "error", "fatal", "warning", "trace", "panic"}:
        raise Failure(f"Unable to parse logging level: {values.text('log-level')}")
    session.debug = values.on("debug")
    if values.given("config"):
        session.config = ConfigFile(values.text("config"))
    ca, cert, key = (values.text(n) for n in ("tlscacert", "tlscert", "tlskey"))
    use = values.on("tls") or values.on("tlsverify")
    session.choice = Choice(values.text("host"), values.text("context"), TlsChoice(use, values.on("tlsverify"), ca, cert, key))


def _dispatch(session: Session, words: list[str]) -> int:
    found = commands.find(words)
    if found is None or words[0] == "buildx":
        _try_others(session, words)
    if found is None:
        return _no_command(session, words)
    command, session.invoked, used = found
    action = load(command.target)
    parser = Parser(action.flags, interspersed=not command.passes_on)
    try:
        values, arguments = parser.parse(words[used:])
    except FlagError as error:
        raise Failure(_with_usage(session, command, str(error)), ENGINE_FAILED) from None
    for notice in parser.notices:
        session.say(notice)
    if values.on("help"):
        return _show_help(session, words[:used])
    _check_count(session, command, len(arguments))
    return action.run(session, values, arguments)


def _with_usage(session: Session, command: commands.Command, message: str, pointer: str = "Run") -> str:
    from corten.cli.help import usage_lines

    name = f"{session.program} {session.invoked}"
    usage = usage_lines(session.program, session.invoked, command)
    return f"{message}\n\n{usage}\n\n{pointer} '{name} --help' for more information"


def _check_count(session: Session, command: commands.Command, given: int) -> None:
    least, most = command.arguments
    if given >= least and (most is None or given <= most):
        return
    plural = "" if (most if most is not None else least) == 1 else "s"
    match least, most:
        case 0, 0:
            complaint, pointer = "accepts no arguments", "Run"
        case 0, _:
            complaint, pointer = f"requires at most {most} argument{plural}", "Run"
        case _, None:
            complaint, pointer = f"requires at least {least} argument{plural}", "See"
        case _ if least == most:
            complaint, pointer = f"requires {least} argument{plural}", "Run"
        case _:
            complaint, pointer = f"requires at least {least} and at most {most} arguments", "Run"
    message = f"{session.program}: '{session.program} {session.invoked}' {complaint}"
    raise Failure(_with_usage(session, command, message, pointer))


def _try_others(session: Session, words: list[str]) -> None:
    """Becomes the plug-in of that name. One for buildx goes before our own commands: who has it has builders in it. Raises Failure for
    what is refused by name."""
    from corten.cli.plugins import find_plugin, run_plugin

    if plugin := find_plugin(session, words[0]):
        run_plugin(session, plugin, words)
    for name in (words[0], " ".join(words[:2])):
        if name in commands.REFUSED:
            raise Failure(f"{session.program}: '{session.program} {name}' is not available: {commands.REFUSED[name]}")


def _no_command(session: Session, words: list[str]) -> int:
    first, program = words[0], session.program
    if not commands.is_group(first):
        raise Failure(f"{program}: unknown command: {program} {first}\n\nRun '{program} --help' for more information")
    following = words[1:]
    if following and following[0] in {"--help", "-h"}:
        return _show_help(session, [first])
    if following:
        usage = f"Usage:  {program} {first}\n\nRun '{program} {first} --help' for more information"
        raise Failure(f"{program}: unknown command: {program} {first} {following[0]}\n\n{usage}")
    from corten.cli.help import group_help

    session.warn(group_help(program, first))
    return 0


def _show_help(session: Session, words: list[str]) -> int:
    from corten.cli import help as pages

    program = session.program
    if not words:
        session.say(pages.overview(program, GLOBAL_FLAGS))
    elif found := commands.find(words):
        command, invoked, _ = found
        session.say(pages.command_help(program, invoked, command, load(command.target).flags))
    elif commands.is_group(words[0]):
        session.say(pages.group_help(program, words[0]))
    else:
        raise Failure(f"unknown help topic: {' '.join(words)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
