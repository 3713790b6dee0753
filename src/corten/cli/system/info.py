"""`info`: the engine, its machine and its settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corten import __version__
from corten.cli.errors import Failure
from corten.cli.flags import Values
from corten.cli.output.formats import FORMAT_FLAG
from corten.cli.session import Action, Session
from corten.client.api import NEWEST
from corten.client.errors import ApiError, BadEndpoint, CannotConnect
from corten.units import binary_size

Json = Mapping[str, Any]
COUNTS = (
    ("Containers", "Containers", 0),
    ("Running", "ContainersRunning", 1),
    ("Paused", "ContainersPaused", 1),
    ("Stopped", "ContainersStopped", 1),
    ("Images", "Images", 0),
    ("Server Version", "ServerVersion", 0),
    ("Storage Driver", "Driver", 0),
)
MACHINE = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)


def info(session: Session, values: Values, arguments: list[str]) -> int:
    server: dict[str, Any] | None = None
    trouble: Exception | None = None
    try:
        server = session.api.get("/info")
    except (ApiError, CannotConnect, BadEndpoint) as error:
        trouble = error
    client = {
        "Debug": session.debug,
        "Version": __version__,
        "DefaultAPIVersion": NEWEST,
        "Os": "linux",
        "Context": session.context,
        "Plugins": [],
        "Warnings": None,
    }
    if values.text("format"):
        _print_formatted(session, {**(server or {}), "ClientInfo": client}, values.text("format"))
    else:
        session.say("\n".join([*_client_lines(client), "", "Server:", *(_server_lines(server) if server else ())]))
        for warning in (server or {}).get("Warnings") or ():
            session.warn(str(warning))
    if trouble is not None:
        session.warn(str(trouble))
        return 1
    return 0


def _client_lines(client: Json) -> list[str]:
    return [
        "Client:",
        f" Version:    {client['Version']}",
        f" Context:    {client['Context']}",
        f" Debug Mode: {_word(client['Debug'])}",
    ]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _server_lines(server: Json) -> Iterator[str]:
    for title, key, depth in COUNTS:
        yield f"{' ' * depth} {title}: {server.get(key, '')}"
    for name, value in server.get("DriverStatus") or ():
        yield f"  {name}: {value}"
    yield f" Logging Driver: {server.get('LoggingDriver', '')}"
    yield f" Cgroup Driver: {server.get('CgroupDriver', '')}"
    if server.get("CgroupVersion"):
        yield f" Cgroup Version: {server['CgroupVersion']}"
    yield from _plugins(server.get("Plugins") or {})
    yield from _listed("CDI spec directories", server.get("CDISpecDirs"))
    yield from _listed("Discovered Devices", [f"{d.get('Source')}: {d.get('ID')}" for d in server.get("DiscoveredDevices") or ()])
    yield f" Swarm: {(server.get('Swarm') or {}).get('LocalNodeState', 'inactive')}"
    if runtimes := server.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(runtimes))}"
        yield f" Default Runtime: {server.get('DefaultRuntime', '')}"
    yield f" Init Binary: {server.get('InitBinary', '')}"
    for title, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        if key in server:
            yield f" {title} version: {(server[key] or {}).get('ID', '')}"
    yield from _security(server.get("SecurityOptions") or ())
    yield from _machine_lines(server)


def _machine_lines(server: Json) -> Iterator[str]:
    for title, key in MACHINE:
        yield f" {title}: {server.get(key, '')}"
    yield f" Total Memory: {binary_size(server.get('MemTotal') or 0)}"
    yield f" Name: {server.get('Name', '')}"
    yield f" ID: {server.get('ID', '')}"
    yield f" Docker Root Dir: {server.get('DockerRootDir', '')}"
    yield f" Debug Mode: {_word(bool(server.get('Debug')))}"
    for title, key in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy")):
        if server.get(key):
            yield f" {title}: {server[key]}"
    yield from _listed("Labels", server.get("Labels"))
    yield f" Experimental: {_word(bool(server.get('ExperimentalBuild')))}"
    registries = server.get("RegistryConfig") or {}
    insecure = [name for name, index in sorted((registries.get("IndexConfigs") or {}).items()) if not index.get("Secure", True)]
    yield from _listed("Insecure Registries", [*insecure, *(registries.get("InsecureRegistryCIDRs") or ())])
    yield from _listed("Registry Mirrors", registries.get("Mirrors"))
    yield f" Live Restore Enabled: {_word(bool(server.get('LiveRestoreEnabled')))}"
    if pools := server.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in pools)


def _plugins(plugins: Json) -> Iterator[str]:
    yield " Plugins:"
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if names := plugins.get(kind):
            yield f"  {kind}: {' '.join(names)}"


def _listed(title: str, items: Sequence[str] | None) -> Iterator[str]:
    if items:
        yield f" {title}:"
        yield from (f"  {item}" for item in items)


def _security(options: Sequence[str]) -> Iterator[str]:
    """`name=seccomp,profile=builtin` on a line for the name and one for each property."""
    if options:
        yield " Security Options:"
    for option in options:
        fields = [field.partition("=") for field in option.split(",")]
        for key, _, value in fields:
            yield f"  {value}" if key == "name" else f"   {key.capitalize()}: {value}"


def _print_formatted(session: Session, subject: dict[str, Any], format: str) -> None:
    from corten.cli.output.shapes import INFO as SHAPE
    from corten.cli.output.shapes import typed
    from corten.cli.template.encode import go_json
    from corten.cli.template.evaluator import ExecutionError, Template
    from corten.cli.template.functions import DOCKER
    from corten.cli.template.parser import TemplateError

    if format == "json":
        session.say(go_json(subject))
        return
    value = typed(subject, SHAPE)
    value.type_name = "system.dockerInfo"
    if "Plugins" in value:
        value["Plugins"].type_name = "system.PluginsInfo"
    try:
        template = Template(format, DOCKER)
    except TemplateError as error:
        raise Failure(f"template parsing error: {error}", 64) from None
    try:
        session.say(template.execute(value))
    except ExecutionError as error:
        session.say(error.partial)
        raise Failure(str(error)) from None


INFO = Action(info, (FORMAT_FLAG,))
