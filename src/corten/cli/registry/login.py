"""`login` and `logout`: the engine tries the credentials, the configuration keeps them."""

import sys

from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, STRING
from corten.cli.session import Action, Session
from corten.client.credentials import HUB, HelperFailed, erase, find_credentials, registry_key, store


def login(session: Session, values: Values, arguments: list[str]) -> int:
    server = arguments[0] if arguments else ""
    key = registry_key(_host(server)) if server else HUB
    username, password = _given(session, values)
    if not username and not password:
        known = _known(session, key)
        if known.get("username") and known.get("password"):
            session.say("Authenticating with existing credentials...")
            username, password = known["username"], known["password"]
    if not username:
        username = _ask_name(session)
    if not password:
        password = _ask_secret(session)
    if not username or not password:
        raise Failure(
            "Error: Cannot perform an interactive login from a non TTY device" if not sys.stdin.isatty() else "Error: Password Required"
        )
    body = {"username": username, "password": password, "serveraddress": key}
    answer = session.api.post("/auth", body=body) or {}
    token = answer.get("IdentityToken") or ""
    try:
        store(session.config, key, username, token or password, is_token=bool(token))
    except (HelperFailed, OSError) as error:
        raise Failure(f"Error saving credentials: {error}") from None
    if not session.config.text("credsStore") and not session.config.table("credHelpers"):
        session.warn(
            f"\nWARNING! Your credentials are stored unencrypted in '{session.config.path}'.\n"
            "Configure a credential helper to remove this warning.\n"
        )
    session.say(answer.get("Status") or "Login Succeeded")
    return 0


def _given(session: Session, values: Values) -> tuple[str, str]:
    """Name and secret from flags and stdin."""
    username, password = values.text("username"), values.text("password")
    if values.given("password") and not password:
        raise Failure("password is empty")
    if values.on("password-stdin"):
        if password:
            raise Failure("conflicting options: cannot specify both --password and --password-stdin")
        if not username:
            raise Failure("the --password-stdin option requires --username to be set")
        return username, sys.stdin.read().rstrip("\r\n")
    if password:
        session.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    return username, password


def _known(session: Session, key: str) -> dict[str, str]:
    try:
        return find_credentials(session.config, key)
    except HelperFailed:
        return {}


def _ask_name(session: Session) -> str:
    if not sys.stdin.isatty():
        raise Failure("Error: Cannot perform an interactive login from a non TTY device")
    session.out.write("Username: ")
    session.out.flush()
    return session.asked().strip()


def _ask_secret(session: Session) -> str:
    if not sys.stdin.isatty():
        raise Failure("Error: Cannot perform an interactive login from a non TTY device")
    from getpass import getpass

    session.out.flush()
    return getpass("Password: ")


def logout(session: Session, values: Values, arguments: list[str]) -> int:
    server = _host(arguments[0]) if arguments else ""
    key = registry_key(server) if server else HUB
    shown = server or "https://index.docker.io/v1/"
    session.say(f"Removing login credentials for {shown}")
    try:
        erase(session.config, key)
    except (HelperFailed, OSError) as error:
        session.warn(f"WARNING: could not erase credentials:\n{error}")
    return 0


def _host(server: str) -> str:
    """A registry's host and port, without scheme and path."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


LOGIN = Action(
    login,
    (
        Flag("password", STRING, "Password or access token", short="p"),
        Flag("password-stdin", BOOL, "Read the password from stdin"),
        Flag("username", STRING, "User name", short="u"),
    ),
)
LOGOUT = Action(logout)
