"""Reading a bundle's config.json and checking what everything else takes for granted about it."""

import json
from typing import Any

from corten.errors import Invalid, NotFound
from corten.runtime.values import Spec


def load_spec(path: str) -> Spec:
    try:
        with open(path, "rb") as f:
            spec = json.loads(f.read())
    except FileNotFoundError:
        raise NotFound(f"config file {path} does not exist", reason="no-config", hint="name the bundle with --bundle") from None
    except ValueError as e:
        raise Invalid(f"{path}: {e}", reason="bad-config") from e
    if not isinstance(spec, dict):
        raise Invalid(f"{path}: not a JSON object", reason="bad-config")
    return spec


def check_spec(spec: Spec) -> None:
    """Invalid, naming the field, where the config lacks what no container can do without."""
    version = spec.get("ociVersion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise _bad("ociVersion", f"must be 1.x, not {version!r}")
    root, process = _object(spec, "root"), _object(spec, "process")
    if not isinstance(root.get("path"), str) or not root["path"]:
        raise _bad("root.path", "is missing")
    check_process(process)
    for index, mount in enumerate(spec.get("mounts") or ()):
        if not isinstance(mount.get("destination"), str) or not mount["destination"]:
            raise _bad(f"mounts[{index}].destination", "is missing")
    hooks = spec.get("hooks") or {}
    for kind, entries in hooks.items():
        for index, hook in enumerate(entries or ()):
            if not str(hook.get("path", "")).startswith("/"):
                raise _bad(f"hooks.{kind}[{index}].path", "must be absolute")


def check_process(process: dict[str, Any]) -> None:
    args = process.get("args")
    if not isinstance(args, list) or not args or not all(isinstance(a, str) for a in args):
        raise _bad("process.args", "must be a list of at least one text")
    if not str(process.get("cwd", "")).startswith("/"):
        raise _bad("process.cwd", "must be an absolute path")


def _object(spec: Spec, name: str) -> dict[str, Any]:
    value = spec.get(name)
    if not isinstance(value, dict):
        raise _bad(name, "is missing")
    return value


def _bad(field: str, what: str) -> Invalid:
    return Invalid(f"{field} {what}", reason="bad-config")
