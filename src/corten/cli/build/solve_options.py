"""Options that a build needs beside the query: secrets, SSH agents, caches, named contexts, attestations."""

import os
from collections.abc import Mapping, Sequence

from corten.cli.errors import Failure
from corten.cli.kinds import csv_fields
from corten.units import parse_bool

Fields = dict[str, str]


def fields_of(text: str, keys: Sequence[str], flag: str) -> dict[str, str]:
    """`a=b,c=d` of a flag. Raises Failure."""
    found: dict[str, str] = {}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise Failure(f"invalid field '{field}' must be a key=value pair")
        if key.lower() not in keys:
            raise Failure(f"unexpected key '{key}' in '{field}' of --{flag}")
        found[key.lower()] = value
    return found


def read_secrets(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """`id=NAME[,src=PATH|,env=NAME]`; `type=file|env`. Raises Failure."""
    found = {}
    for text in texts:
        fields = fields_of(text, ("id", "src", "source", "env", "type"), "secret")
        name = fields.get("id", "")
        if not name:
            raise Failure("secret needs an id: --secret id=NAME,src=PATH")
        path, variable = fields.get("src", fields.get("source", "")), fields.get("env", "")
        if fields.get("type") == "env" and not variable:
            variable, path = path or name, ""
        if not path and not variable:
            variable, path = (name, "") if name in environ else ("", name)
        found[name] = _secret(name, path, variable, environ)
    return found


def _secret(name: str, path: str, variable: str, environ: Mapping[str, str]) -> bytes:
    if variable:
        return environ.get(variable, "").encode(errors="surrogateescape")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"failed to read secret {name}: {path}: {error.strerror}") from None


def read_agents(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`default` or `ID=SOCKET`: agent sockets by id. Raises Failure for keys, which an agent has to hold."""
    found = {}
    for text in texts:
        name, _, path = text.partition("=")
        socket = path or environ.get("SSH_AUTH_SOCK", "")
        if not socket:
            raise Failure("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        if not os.path.exists(socket):
            raise Failure(f"no SSH agent {name}: stat {socket}: no such file or directory")
        if os.path.isfile(socket):
            raise Failure(f"{socket} is a key, and only agents can be forwarded: add it with ssh-add, then use --ssh {name}")
        found[name or "default"] = os.path.abspath(socket)
    return found


def read_caches(texts: Sequence[str], flag: str, host: str) -> list[dict[str, str]]:
    """`type=KIND,key=value,…` or an image. Folders become absolute; they must be on the engine's machine. Raises Failure."""
    found = []
    for text in texts:
        if "=" not in text:
            found.append({"type": "image" if flag == "cache-from" else "registry", "ref": text})
            continue
        fields = dict[str, str]()
        for field in csv_fields(text):
            key, equals, value = field.partition("=")
            if not equals:
                raise Failure(f"invalid field '{field}' must be a key=value pair")
            fields[key.lower()] = value
        if not fields.get("type"):
            raise Failure(f"--{flag}: type is required: {text}")
        for key in {"src", "dest"} & fields.keys() if fields.get("type") == "local" else ():
            if not host.startswith("unix://"):
                raise Failure(f"--{flag} type=local needs an engine on this machine, and this one is at {host}: type=registry works there")
            fields[key] = os.path.abspath(fields[key])
            if key == "dest":
                _make_folder(fields[key], flag)
        found.append(fields)
    return found


def _make_folder(path: str, flag: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Failure(f"--{flag}: cannot make {path}: {error.strerror}") from None


def read_contexts(texts: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """`--build-context NAME=WHERE`: folders of this machine, and what the engine fetches. Raises Failure."""
    folders, others = dict[str, str](), dict[str, str]()
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or not name:
            raise Failure(f"invalid context value: {text}, expected key=value")
        if os.path.isdir(where):
            folders[name] = where
        elif "://" in where or where.startswith("git@"):
            others[name] = where
        else:
            raise Failure(f"failed to get build context {name}: stat {where}: no such file or directory")
    return folders, others


def read_attestations(sbom: str, provenance: str, attest: Sequence[str]) -> tuple[Fields, Fields]:
    """The fields of provenance and of the SBOM, {} for one that is not asked for. The last one of a kind counts. Raises Failure."""
    found: dict[str, Fields] = {}
    for text in [*attest, *_attest_texts("sbom", sbom), *_attest_texts("provenance", provenance)]:
        fields = _attestation_fields(text)
        kind = fields.pop("type", "")
        if not kind:
            raise Failure("ERROR: attestation type not specified")
        if kind not in ("sbom", "provenance"):
            raise Failure(f'ERROR: failed to build: failed to solve: unknown attestation type "{kind}"')
        found[kind] = fields
    wanted = {kind: fields for kind, fields in found.items() if not _is_disabled(fields)}
    if "provenance" in wanted:
        wanted["provenance"] = {"mode": "min", **wanted["provenance"]}
    if "sbom" in wanted:
        wanted["sbom"] = {"generator": "", **wanted["sbom"]}
    return wanted.get("provenance", {}), wanted.get("sbom", {})


def _attest_texts(kind: str, text: str) -> list[str]:
    """`--sbom TEXT` as `--attest` has it."""
    if not text:
        return []
    try:
        return [f"type={kind}" if parse_bool(text) else f"type={kind},disabled=true"]
    except ValueError:
        return [f"type={kind},{text}"]


def _attestation_fields(text: str) -> Fields:
    found: Fields = {}
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise Failure(f"ERROR: invalid value {field}")
        found[key.lower()] = value
    return found


def _is_disabled(fields: Fields) -> bool:
    text = fields.pop("disabled", "false")
    try:
        return parse_bool(text)
    except ValueError:
        raise Failure(f"ERROR: invalid value {text} of disabled: true or false") from None
