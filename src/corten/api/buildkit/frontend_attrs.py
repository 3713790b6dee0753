"""The attributes of the Dockerfile frontend (`FrontendAttrs`). An unknown one is refused by its name."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from corten.api.buildkit.messages.solve import CacheOptionsEntry
from corten.build.options import BuildOptions, Limits
from corten.engine.build.solve_options import SolveOptions
from corten.errors import Invalid, Unsupported
from corten.oci.platform import host_platform

DOCKERFILE: Final = "dockerfile.v0"
GATEWAY: Final = "gateway.v0"
_CALLS: Final = {"": "build", "frontend.lint": "check", "frontend.outline": "outline", "frontend.targets": "targets"}
_MEANINGLESS: Final = frozenset({"frontend.caps", "cmdline", "source", "multi-platform"})
"""Read elsewhere, or what changes nothing here."""
_READ: Final = frozenset({
    "filename", "target", "platform", "no-cache", "add-hosts", "image-resolve-mode", "shm-size", "ulimit", "cgroup-parent",
    "memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus", "cpusetmems", "requestid", "context", "contextkey",
    "dockerfilekey", "cache-imports", "cache-from", "source-date-epoch", "force-network-mode",
})  # fmt: skip
_PREFIXES: Final = ("build-arg:", "label:", "context:", "vcs:", "local-sessionid:", "input-metadata:", "attest:")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendOptions:
    """`context` is where the files come from when it is not the client's folder. `locals`: the client's folders that are named
    contexts, by name. `folder` and `definition` are the client's names of the context and of what holds the Dockerfile."""

    options: BuildOptions
    solve: SolveOptions
    filename: str = "Dockerfile"
    context: str = ""
    folder: str = "context"
    definition: str = "dockerfile"
    locals: Mapping[str, str] = field(default_factory=dict)


def read_attributes(
    attrs: Mapping[str, str], entitlements: Iterable[str], exports: Iterable[CacheOptionsEntry], imports: Iterable[CacheOptionsEntry]
) -> FrontendOptions:
    """Raises Invalid and Unsupported."""
    for key in attrs:
        if key not in _READ and key not in _MEANINGLESS and not key.startswith(_PREFIXES):
            raise Unsupported(f"the build option {key!r} is not supported", reason="buildkit-attribute")
    call = _CALLS.get(attrs.get("requestid", ""))
    if call is None:
        raise Unsupported(
            f"unsupported request {attrs['requestid']}", reason="buildkit-request", hint=f"known: {', '.join(filter(None, _CALLS))}"
        )
    folders, others = _contexts(attrs)
    no_cache = attrs.get("no-cache")
    return FrontendOptions(
        options=_options(attrs),
        solve=SolveOptions(
            no_cache_filter=no_cache.split(",") if no_cache else [],
            allow=sorted(entitlements),
            contexts=others,
            call=call,  # type: ignore[arg-type]
            provenance=_attested(attrs, "provenance"),
            sbom=_attested(attrs, "sbom"),
            cache_to=[_cache(entry) for entry in exports],
            cache_from=[*(_cache(entry) for entry in imports), *_imports(attrs)],
        ),
        filename=attrs.get("filename") or "Dockerfile",
        context=attrs.get("context", ""),
        folder=attrs.get("contextkey") or "context",
        definition=attrs.get("dockerfilekey") or "dockerfile",
        locals=folders,
    )


def check_frontend(name: str, attrs: Mapping[str, str]) -> None:
    """Raises Unsupported for a frontend that is not the Dockerfile's."""
    if name == DOCKERFILE:
        return
    source = attrs.get("source", "")
    image = source.removeprefix("docker.io/").partition("@")[0].partition(":")[0]
    if name == GATEWAY and image in ("docker/dockerfile", "docker/dockerfile-upstream"):
        return
    raise Unsupported(f"the frontend {source or name!r} is not supported: Corten reads Dockerfiles with its own", reason="frontend")


def _options(attrs: Mapping[str, str]) -> BuildOptions:
    platform = attrs.get("platform") or str(host_platform())
    if "," in platform:
        raise Unsupported("multiple platforms in one build are not supported", reason="platforms")
    arguments = _below(attrs, "build-arg:")
    mode = attrs.get("image-resolve-mode", "")
    if mode not in ("", "local", "default", "prefer-local", "pull"):
        raise Invalid(f"invalid image-resolve-mode: {mode}", reason="bad-build-parameter")
    return BuildOptions(
        target=attrs.get("target", ""),
        build_args=arguments,
        labels=_below(attrs, "label:"),
        no_cache=attrs.get("no-cache") == "",
        pull=mode == "pull",
        platform=platform,
        network=attrs.get("force-network-mode") or "default",
        extra_hosts=tuple(_host(text) for text in _listed(attrs.get("add-hosts", ""))),
        shm_size=_number(attrs, "shm-size"),
        ulimits=tuple(_ulimit(text) for text in _listed(attrs.get("ulimit", ""))),
        epoch=_epoch(arguments.get("SOURCE_DATE_EPOCH") or attrs.get("source-date-epoch", "")),
        limits=_limits(attrs),
    )


def _limits(attrs: Mapping[str, str]) -> Limits:
    return Limits(
        memory=_number(attrs, "memory"),
        memory_swap=_number(attrs, "memswap"),
        cpu_shares=_number(attrs, "cpushares"),
        cpu_period=_number(attrs, "cpuperiod"),
        cpu_quota=_number(attrs, "cpuquota"),
        cpuset_cpus=attrs.get("cpusetcpus", ""),
        cpuset_mems=attrs.get("cpusetmems", ""),
        cgroup_parent=attrs.get("cgroup-parent", ""),
    )


def _below(attrs: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in attrs.items() if key.startswith(prefix)}


def _contexts(attrs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Named contexts: the client's folders, and others. Raises Unsupported for what needs BuildKit's own graph."""
    folders: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, source in _below(attrs, "context:").items():
        if source.startswith("local:"):
            folders[name.lower()] = source.removeprefix("local:")
        elif source.startswith(("input:", "oci-layout:")):
            kind = "another build's result" if source.startswith("input:") else "an OCI layout on the client's machine"
            raise Unsupported(f"the build context {name}={source} is {kind}, which is not supported", reason="context-kind")
        else:
            others[name.lower()] = source
    return folders, others


def _attested(attrs: Mapping[str, str], kind: str) -> dict[str, str]:
    """The fields of `--provenance` or `--sbom`; none for none."""
    for key in attrs:
        if key.startswith("attest:") and key not in ("attest:provenance", "attest:sbom"):
            raise Unsupported(f"{key} is not supported", reason="attestation")
    if f"attest:{kind}" not in attrs:
        return {}
    fields = dict(pair.partition("=")[::2] for pair in _listed(attrs[f"attest:{kind}"]))
    return fields or ({"mode": "min"} if kind == "provenance" else {"disabled": "false"})


def _cache(entry: CacheOptionsEntry) -> dict[str, str]:
    if entry.type == "local":
        raise Unsupported("a cache in a folder of the client's machine is not supported", reason="cache-kind", hint="inline, registry")
    return {"type": entry.type, **entry.attrs}


def _imports(attrs: Mapping[str, str]) -> list[dict[str, str]]:
    """Caches that the frontend is told of; older clients name references only."""
    found = [{"type": "registry", "ref": ref} for ref in _listed(attrs.get("cache-from", ""))]
    try:
        entries = msgspec.json.decode(attrs.get("cache-imports") or "[]", type=list[dict[str, str | dict[str, str]]])
    except msgspec.DecodeError as error:
        raise Invalid(f"error reading cache-imports: {error}", reason="bad-build-parameter") from error
    for entry in entries:
        kind, fields = entry.get("Type", ""), entry.get("Attrs", {})
        found.append(_cache(CacheOptionsEntry(str(kind), fields if isinstance(fields, dict) else {})))
    return found


def _listed(text: str) -> list[str]:
    return [part for row in csv.reader([text]) for part in row if part]


def _host(text: str) -> str:
    name, separator, address = text.partition("=")
    return f"{name}:{address}" if separator else text


def _ulimit(text: str) -> tuple[str, int, int]:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    return name, _whole(soft, "ulimit"), _whole(hard or soft, "ulimit")


def _number(attrs: Mapping[str, str], name: str) -> int:
    return _whole(attrs[name], name) if attrs.get(name) else 0


def _epoch(text: str) -> int | None:
    return _whole(text, "SOURCE_DATE_EPOCH") if text else None


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"invalid {name}: {text}", reason="bad-build-parameter") from None
