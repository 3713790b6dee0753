"""Registry credentials as Docker's tools keep them: in `config.json`, or in a helper program `docker-credential-NAME`."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from corten.client.configfile import ConfigFile

HUB = "https://index.docker.io/v1/"
HUB_DOMAINS = frozenset({"docker.io", "index.docker.io"})
TOKEN_USER = "<token>"


class HelperFailed(Exception):
    """A credential helper is missing or said no; the text is for the user."""


def registry_key(domain: str) -> str:
    """The name under which a registry's credentials are kept."""
    return HUB if domain in HUB_DOMAINS or domain == HUB else domain


def registry_header(config: ConfigFile, domain: str) -> str:
    """The X-Registry-Auth value for one registry; an empty object when nothing is known."""
    return encode_header(find_credentials(config, domain))


def encode_header(fields: Mapping[str, object]) -> str:
    return urlsafe_b64encode(json.dumps(dict(fields)).encode()).decode()


def find_credentials(config: ConfigFile, domain: str) -> dict[str, str]:
    """`username`, `password` or `identitytoken`, and `serveraddress`; {} when nothing is known. Raises HelperFailed."""
    key = registry_key(domain)
    if helper := _helper(config, key):
        found = _ask(helper, "get", key)
        return _from_helper(found, key) if found else {}
    entry = config.table("auths").get(key)
    if entry is None:
        entry = next((v for k, v in config.table("auths").items() if _bare(k) == _bare(key)), None)
    return _from_entry(entry, key) if isinstance(entry, dict) else {}


def all_credentials(config: ConfigFile) -> dict[str, dict[str, str]]:
    """For builds: everything that is in the file and in the helpers that it names."""
    keys = [*config.table("auths"), *config.table("credHelpers")]
    found = {key: find_credentials(config, key) for key in keys}
    return {key: fields for key, fields in found.items() if fields}


def store(config: ConfigFile, key: str, username: str, secret: str, *, is_token: bool = False) -> None:
    """Keeps what a login brought. With a helper the file only notes that there is something. Raises HelperFailed."""
    auths = dict(config.table("auths"))
    if helper := _helper(config, key):
        record = {"ServerURL": key, "Username": TOKEN_USER if is_token else username, "Secret": secret}
        _run(helper, "store", json.dumps(record))
        auths[key] = {}
    elif is_token:
        auths[key] = {"auth": b64encode(f"{username}:".encode()).decode(), "identitytoken": secret}
    else:
        auths[key] = {"auth": b64encode(f"{username}:{secret}".encode()).decode()}
    config.save({"auths": auths})


def erase(config: ConfigFile, key: str) -> None:
    """Forgets a registry, known or not. Raises HelperFailed."""
    auths = dict(config.table("auths"))
    if helper := _helper(config, key):
        _run(helper, "erase", key)
    if auths.pop(key, None) is not None:
        config.save({"auths": auths})


def _bare(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _helper(config: ConfigFile, key: str) -> str:
    named = config.table("credHelpers").get(key) or config.table("credHelpers").get(_bare(key))
    return str(named) if named else config.text("credsStore")


def _from_entry(entry: Mapping[str, Any], key: str) -> dict[str, str]:
    fields = {"serveraddress": key}
    if isinstance(auth := entry.get("auth"), str) and auth:
        username, _, password = b64decode(auth).decode("utf-8", "replace").partition(":")
        fields |= {"username": username, "password": password.rstrip("\0")}
    for name in ("username", "password", "identitytoken", "registrytoken"):
        if isinstance(value := entry.get(name), str) and value:
            fields[name] = value
    return fields if len(fields) > 1 else {}


def _from_helper(found: Mapping[str, Any], key: str) -> dict[str, str]:
    username, secret = str(found.get("Username", "")), str(found.get("Secret", ""))
    if username == TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": key}
    return {"username": username, "password": secret, "serveraddress": key}


def _ask(helper: str, verb: str, key: str) -> dict[str, Any]:
    """{} when the helper does not know the registry."""
    try:
        text = _run(helper, verb, key)
    except HelperFailed as failed:
        if "credentials not found" in str(failed):
            return {}
        raise
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _run(helper: str, verb: str, given: str) -> str:
    """Protocol: docker-credential-helpers, "Development": the request on stdin, the answer on stdout, errors on stdout too."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, verb], input=given, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HelperFailed(f"error getting credentials - err: exec: {program}: {error.strerror}") from None
    if done.returncode:
        raise HelperFailed(f"error getting credentials - err: exit status {done.returncode}, out: `{done.stdout.strip()}`")
    return done.stdout
