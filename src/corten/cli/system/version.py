"""`version`: the client's and the engine's versions."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from corten import __version__
from corten.cli.flags import Values
from corten.cli.output.formats import FORMAT_FLAG
from corten.cli.session import Action, Session
from corten.client.api import NEWEST
from corten.client.errors import ApiError, BadEndpoint, CannotConnect

Json = Mapping[str, Any]
ENGINE_LINES = (
    ("Go version", "GoVersion"),
    ("Python version", "PythonVersion"),
    ("Git commit", "GitCommit"),
    ("Built", "BuildTime"),
    ("OS/Arch", ""),
    ("Experimental", "Experimental"),
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def version(session: Session, values: Values, arguments: list[str]) -> int:
    server: Json | None = None
    trouble: Exception | None = None
    try:
        server = _readable(session.api.get("/version"))
    except (ApiError, CannotConnect, BadEndpoint) as error:
        trouble = error
    client = client_version(session, connected=server is not None)
    format = values.text("format")
    if not format:
        _print(session, client, server)
    else:
        _print_formatted(session, client, server, format)
    if trouble is not None:
        session.warn(str(trouble))
        return 1
    return 0


def _readable(server: dict[str, Any]) -> dict[str, Any]:
    """The engine's build time as people write it, where Docker's CLI does so: in the engine's component."""
    for component in server.get("Components") or ():
        details = component.get("Details") or {}
        if component["Name"] == "Engine" and "T" in details.get("BuildTime", ""):
            details["BuildTime"] = _ctime(details["BuildTime"])
    return server


def _ctime(text: str) -> str:
    from time import ctime

    from corten.cli.output.units import parse_rfc3339

    try:
        return ctime(parse_rfc3339(text))
    except ValueError:
        return text


def client_version(session: Session, *, connected: bool) -> dict[str, str]:
    machine = os.uname().machine
    return {
        "Version": __version__,
        "ApiVersion": session.api.version if connected else NEWEST,
        "DefaultAPIVersion": NEWEST,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": "linux",
        "Arch": ARCHITECTURES.get(machine, machine),
        "BuildTime": "",
        "Context": session.context,
    }


def _print(session: Session, client: Json, server: Json | None) -> None:
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api = f"{api} (downgraded from {client['DefaultAPIVersion']})"
    lines = [
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {api}",
        f" Python version:    {client['PythonVersion']}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
        f" Context:           {client['Context']}",
    ]
    if server is not None:
        platform = (server.get("Platform") or {}).get("Name", "")
        lines += ["", f"Server: {platform}".rstrip(" ") if platform else "Server:"]
        for component in server.get("Components") or [_as_component(server)]:
            lines += _component_lines(component)
    session.say("\n".join(lines))


def _as_component(server: Json) -> Json:
    """Engines before API 1.35 list no components."""
    return {"Name": "Engine", "Version": server.get("Version", ""), "Details": server}


def _component_lines(component: Json) -> list[str]:
    details = component.get("Details") or {}
    lines = [f" {component['Name']}:", f"  Version:          {component['Version']}"]
    if component["Name"] != "Engine":
        return lines + [f"  {key + ':':<17} {value}" for key, value in details.items()]
    minimum = f" (minimum version {details['MinAPIVersion']})" if details.get("MinAPIVersion") else ""
    lines.append(f"  API version:      {details.get('ApiVersion', '')}{minimum}")
    for title, key in ENGINE_LINES:
        value = details.get(key, "") if key else f"{details.get('Os', '')}/{details.get('Arch', '')}"
        if value:
            lines.append(f"  {title + ':':<17} {value}")
    return lines


def _print_formatted(session: Session, client: Json, server: Json | None, format: str) -> None:
    from corten.cli.errors import Failure
    from corten.cli.template.encode import go_json
    from corten.cli.template.evaluator import ExecutionError, Template
    from corten.cli.template.functions import DOCKER
    from corten.cli.template.parser import TemplateError
    from corten.cli.template.values import NIL_POINTER, Struct

    if format == "json":
        session.say(go_json({"Client": client, "Server": server}))
        return
    spelling = {"APIVersion": "ApiVersion"}
    platform = {"Platform": NIL_POINTER}
    subject = Struct(
        {
            "Client": Struct(client, "system.clientVersion", absent=platform, aliases=spelling),
            "Server": Struct(server, "types.Version", aliases=spelling) if server is not None else NIL_POINTER,
        },
        "system.versionInfo",
    )
    try:
        template = Template(format, DOCKER, name="version")
    except TemplateError as error:
        raise Failure(f"template parsing error: {error}", 64) from None
    try:
        session.say(template.execute(subject))
    except ExecutionError as error:
        session.say(error.partial)
        raise Failure(str(error)) from None


VERSION = Action(version, (FORMAT_FLAG,))
