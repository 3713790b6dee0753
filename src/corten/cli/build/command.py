"""`build`: its flags, and the classic `POST /build` for engines that are not Corten."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from corten.cli.build.context import local_context, stdin_context
from corten.cli.build.solve import solve, write_id
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, INT, LIST, STRING, STRINGS, checked
from corten.cli.options.environment import LABEL, labels, proxy_variables
from corten.cli.options.networking import EXTRA_HOSTS
from corten.cli.options.policies import ULIMIT, last_of_each
from corten.cli.options.quantities import BYTES, SWAP
from corten.cli.options.resources import RESOURCE
from corten.cli.references import check_name, normalized_platform
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.quoting import go_quoted

CORTEN_ONLY = (
    "secret",
    "ssh",
    "build-context",
    "no-cache-filter",
    "allow",
    "cache-to",
    "check",
    "check-reproducible",
    "reproducible",
    "ca",
    "attest",
    "provenance",
    "annotation",
    "call",
    "metadata-file",
    "output",
    "policy",
    "push",
    "sbom",
)
REMOTE = ("http://", "https://", "git://", "git@", "github.com/")
NUMBERS = {"cpu-period": "cpuperiod", "cpu-quota": "cpuquota", "cpu-shares": "cpushares", "memory": "memory", "memory-swap": "memswap"}
NUMBERS |= {"shm-size": "shmsize"}
TEXTS = {"cgroup-parent": "cgroupparent", "cpuset-cpus": "cpusetcpus", "cpuset-mems": "cpusetmems", "target": "target"}
SWITCHES = {"force-rm": "forcerm", "no-cache": "nocache", "squash": "squash", "quiet": "q"}


def build(session: Session, values: Values, arguments: list[str]) -> int:
    session.debug = session.debug or values.on("debug")
    query = build_query(values, proxy_variables(session.config.table("proxies"), session.api.endpoint.host))
    where = arguments[0]
    if is_corten(session.api) and "," in values.text("platform"):
        from corten.cli.build.platforms import build_each

        return build_each(values, BUILD.flags, where, lambda one: solve(session, one, {**query, "platform": one.text("platform")}, where))
    if is_corten(session.api):
        return solve(session, values, query, where)
    if "," in values.text("platform"):
        raise Failure("--platform takes one platform at another engine")
    if wanted := next((name for name in CORTEN_ONLY if values.given(name)), ""):
        raise Failure(f"--{wanted} needs a Corten engine; {session.api.endpoint.host} is another one")
    stream: Iterator[bytes] | None = None
    if where == "-":
        stream, query["dockerfile"] = stdin_context(values.text("file"))
    elif where.startswith(REMOTE):
        query["remote"] = where
        query["dockerfile"] = values.text("file") or "Dockerfile"
    else:
        stream, query["dockerfile"] = local_context(where, values.text("file"))
    return _run(session, values, query, stream)


def build_query(values: Values, proxies: Mapping[str, str]) -> dict[str, str | list[str]]:
    """The parameters of POST /build that do not depend on the context. `proxies` are build arguments unless the user gives them."""
    query: dict[str, str | list[str]] = {"version": "1", "rm": "1" if values.on("rm") else "0"}
    query |= {name: str(values.number(flag)) for flag, name in NUMBERS.items() if values.number(flag)}
    query |= {name: values.text(flag) for flag, name in TEXTS.items() if values.text(flag)}
    query |= {name: "1" for flag, name in SWITCHES.items() if values.on(flag)}
    for resources in values.items("resource"):
        query |= resources
    tables: dict[str, Any] = {
        "buildargs": {
            **proxies,
            **_epoch(),
            **{n: v if equals else os.environ.get(n) for n, equals, v in _pairs(values.texts("build-arg"))},
        },
        "labels": labels(values.texts("label"), ()),
        "cachefrom": [text for text in values.texts("cache-from") if "=" not in text],
        "ulimits": last_of_each(values.items("ulimit")),
    }
    query |= {name: json.dumps(table) for name, table in tables.items() if table}
    if values.texts("tag"):
        query["t"] = values.texts("tag")
    if hosts := values.texts("add-host"):
        query["extrahosts"] = hosts
    if values.on("pull"):
        query["pull"] = "1"
    if values.text("platform") and "," not in values.text("platform"):
        query["platform"] = normalized_platform(values.text("platform"))
    query["networkmode"] = values.text("network")
    return query


def _epoch() -> dict[str, str]:
    """As buildx passes it on."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return {"SOURCE_DATE_EPOCH": epoch} if epoch else {}


def is_corten(api: Api) -> bool:
    """Other engines get what Docker's classic builder takes."""
    return api.greeting().get("server", "").startswith("Corten/")


def _pairs(texts: list[str]) -> Iterator[tuple[str, str, str]]:
    return (text.partition("=") for text in texts)


def _run(session: Session, values: Values, query: dict[str, str | list[str]], stream: Iterator[bytes] | None) -> int:
    import io

    from corten.cli.output.progress import show_progress, watched
    from corten.client.credentials import all_credentials, encode_header

    credentials = encode_header(all_credentials(session.config))
    headers = {"X-Registry-Config": credentials, **({"Content-Type": "application/x-tar"} if stream is not None else {})}
    quiet, aux = values.on("quiet"), list[Any]()
    if stream is not None and not quiet:
        stream = watched(stream, "Sending build context", session.err)
    answer = session.api.call("POST", "/build", query, stream=stream, headers=headers)
    said = io.StringIO()
    show_progress(answer.json_lines(), said if quiet else session.out, aux=aux)
    identity = next((str(a["ID"]) for a in reversed(aux) if isinstance(a, dict) and "ID" in a), "")
    if quiet:
        session.say(identity or said.getvalue().strip())
    write_id(values.text("iidfile"), identity)
    return 0


def _argument(text: str) -> str:
    if text.startswith("="):
        raise ValueError(f"invalid key-value pair {go_quoted(text)}: empty key")
    return text


def _tag(text: str) -> str:
    check_name(text)
    return text


BUILD = Action(
    build,
    (
        Flag("add-host", EXTRA_HOSTS, "Add a custom host-to-IP mapping (host:ip)"),
        Flag("annotation", LIST, "Annotation of the image's manifest (not supported)").hide(),
        Flag("build-arg", checked(_argument), "Value of an ARG (name=value)"),
        Flag("allow", LIST, "Entitlements granted to RUN steps (network.host, security.insecure, device[=name])"),
        Flag("build-context", LIST, "Additional build contexts (name=folder|docker-image://ref|url)"),
        Flag("ca", STRING, "Certificate authorities that RUN steps trust: host or none (default: the engine's build-ca)"),
        Flag("cache-from", LIST, "External cache sources (image, type=registry|local)"),
        Flag("cache-to", LIST, "Cache export destinations (type=inline|registry|local)"),
        Flag("call", STRING, "Answer a subrequest instead of building: check, outline, targets (METHOD[,format=json])"),
        Flag("check", BOOL, "Lint the Dockerfile instead of building (short for --call=check)"),
        Flag("check-reproducible", BOOL, "Build twice, the second time without the step cache, and name the first file that differs"),
        Flag("cgroup-parent", STRING, "Parent cgroup of RUN steps"),
        Flag("compress", BOOL, "Accepted for compatibility with Docker").hide(),
        Flag("cpu-period", INT, "Period of the CFS scheduler in microseconds"),
        Flag("cpu-quota", INT, "Quota of the CFS scheduler in microseconds"),
        Flag("cpu-shares", INT, "Share of processor time (relative weight)", short="c"),
        Flag("cpuset-cpus", STRING, "Processors that RUN steps may use (0-3, 0,1)"),
        Flag("cpuset-mems", STRING, "Memory nodes that RUN steps may use (0-3, 0,1)"),
        Flag("debug", BOOL, "Show lint warnings in full, and tracebacks of errors", short="D"),
        Flag("disable-content-trust", BOOL, "Accepted for compatibility with Docker", default=True).hide(),
        Flag("file", STRING, "Dockerfile (default PATH/Dockerfile)", short="f"),
        Flag("force-rm", BOOL, "Accepted for compatibility with Docker"),
        Flag("iidfile", STRING, "Write the image ID to the file"),
        Flag("isolation", STRING, "Isolation technology (Windows)").hide(),
        Flag("label", LABEL, "Label of the image (key=value)"),
        Flag("load", BOOL, "Load the image (always done)").hide(),
        Flag("memory", BYTES, "Memory limit of RUN steps", short="m"),
        Flag("memory-swap", SWAP, "Limit of memory and swap together; -1 for no limit"),
        Flag("network", STRING, "Network of RUN steps", default="default"),
        Flag("metadata-file", STRING, "Write build result metadata to a file"),
        Flag("no-cache", BOOL, "Do not use cache when building the image"),
        Flag("no-cache-filter", STRINGS, "Do not cache specified stages"),
        Flag("output", LIST, "Output destination (type=docker|oci|tar|local|registry,dest=path)", short="o"),
        Flag("policy", LIST, "Source policy (not supported)").hide(),
        Flag("platform", STRING, "Platform of the image (os[/arch[/variant]])"),
        Flag("progress", STRING, "Set type of progress output (auto, none, plain, quiet, rawjson, tty)", default="auto"),
        Flag("attest", LIST, "Attestation to push with the image (type=provenance,mode=min|max; type=sbom,generator=image)"),
        Flag("provenance", STRING, "Short for --attest type=provenance (true, false, mode=min, mode=max)"),
        Flag("sbom", STRING, "Short for --attest type=sbom (true, false, generator=image)"),
        Flag("builder", STRING, "Accepted for compatibility with Docker").hide(),
        Flag("pull", BOOL, "Always attempt to pull all referenced images"),
        Flag("push", BOOL, "Push the result to its registry (short for --output type=registry)"),
        Flag("quiet", BOOL, "Print only the image ID", short="q"),
        Flag("reproducible", BOOL, "Give all files and the image one time: SOURCE_DATE_EPOCH, or that of the base image"),
        Flag("resource", RESOURCE, "Limits of RUN steps (memory=2g,cpu-quota=50000)"),
        Flag("rm", BOOL, "Accepted for compatibility with Docker", default=True),
        Flag("secret", LIST, "Secret for RUN steps (id=name[,src=path|,env=variable])"),
        Flag("security-opt", STRINGS, "Security option"),
        Flag("shm-size", BYTES, "Size of /dev/shm in RUN steps"),
        Flag("squash", BOOL, "Make one layer of all steps"),
        Flag("ssh", LIST, "SSH agent for RUN steps (default or id=socket)"),
        Flag("tag", checked(_tag), "Name of the image (name:tag)", short="t"),
        Flag("target", STRING, "Stage to build"),
        Flag("ulimit", ULIMIT, "Resource limit of RUN steps (name=soft[:hard])"),
    ),
)
