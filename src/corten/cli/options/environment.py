"""Environment variables and labels, from flags and from files."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from corten.cli.kinds import Kind, checked

PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def parse_env(text: str) -> str:
    """`NAME=value` as it is; `NAME` with this process's value when it has one."""
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if not equals and name in os.environ:
        return f"{name}={os.environ[name]}"
    return text


def parse_label(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def environment(flags: Sequence[str], files: Iterable[str]) -> list[str]:
    """Variables of the files in order, then those of the flags, of which the last of a name counts."""
    by_name = {v.partition("=")[0]: v for v in flags}
    return [*(v for path in files for v in _file_lines(path, "env", parse_env_line)), *by_name.values()]


def proxy_variables(proxies: Mapping[str, Any], host: str) -> dict[str, str]:
    """What the configuration's `proxies` says for an engine, or for all: every variable in upper and lower case."""
    chosen = proxies.get(host) or proxies.get("default") or {}
    found = {name: str(chosen[key]) for key, name in PROXIES.items() if chosen.get(key)}
    return found | {name.lower(): value for name, value in found.items()}


def with_proxies(variables: Sequence[str], proxies: Mapping[str, str]) -> list[str]:
    """`variables`, behind those of `proxies` that they do not name."""
    named = {v.partition("=")[0] for v in variables}
    return [*(f"{name}={value}" for name, value in proxies.items() if name not in named), *variables]


def labels(flags: Sequence[str], files: Iterable[str]) -> dict[str, str]:
    lines = [*(v for path in files for v in _file_lines(path, "label", parse_label_line)), *flags]
    return dict(pair(line) for line in lines)


def pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def parse_env_line(line: str) -> str:
    """A line of an env file; "" when the variable is only named and not set here."""
    name, equals, _ = line.partition("=")
    if equals:
        return line
    return f"{name}={os.environ[name]}" if name in os.environ else ""


def parse_label_line(line: str) -> str:
    """A label without value in a file is left out, as Docker does."""
    return line if "=" in line else ""


def _file_lines(path: str, kind: str, read: Callable[[str], str]) -> list[str]:
    """Lines without comments and blank ones; white space before a line is dropped, behind it kept."""
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise ValueError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    found = []
    for raw in lines:
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0].lstrip()
        if any(c.isspace() for c in name):
            raise ValueError(f"invalid {kind} file ({path}): variable '{name}' contains whitespaces")
        if not name:
            raise ValueError(f"invalid {kind} file ({path}): no variable name on line '{line}'")
        if value := read(line):
            found.append(value)
    return found


ENV = checked(parse_env)
LABEL = checked(parse_label)
FILES = Kind("list", str, repeats=True)
