"""state, list, ps, features, spec: what only looks."""

import json
import os
import pwd
import sys
import time
from typing import Any

from corten.errors import Conflict, Invalid
from corten.runtime.commands.context import Context
from corten.runtime.commands.features import features_document
from corten.runtime.commands.template import template
from corten.runtime.create import oci_state
from corten.runtime.state import ContainerState


def state(context: Context) -> int:
    _print_json(_document(context, context.runtime.load(context.container_id())))
    return 0


def _document(context: Context, found: ContainerState) -> dict[str, Any]:
    """The OCI state, with what runc adds to it."""
    status = context.runtime.status(found)
    document = {"pid": 0, **oci_state(found, status)}
    owner = os.stat(os.path.join(context.runtime.state_root, found["id"])).st_uid
    more = {"rootfs": found["rootfs"], "created": _timestamp(found["created"]), "owner": _user_name(owner)}
    return {**document, **more}


def _timestamp(ns: int) -> str:
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def list_containers(context: Context) -> int:
    documents = [_document(context, context.runtime.load(name)) for name in context.runtime.list()]
    if context.options.has("quiet"):
        sys.stdout.writelines(f"{document['id']}\n" for document in documents)
    elif context.options.text("format", "table") == "json":
        _print_json(documents)
    else:
        columns = ("id", "pid", "status", "bundle", "created", "owner")
        _print_table([[c.upper() for c in columns], *([str(document[c]) for c in columns] for document in documents)])
    return 0


def ps(context: Context) -> int:
    found = context.runtime.load(context.container_id())
    cgroup = context.runtime.cgroup(found)
    if cgroup is None or context.runtime.status(found) == "stopped":
        raise Conflict("container not running", reason="not-running")
    pids = cgroup.pids()
    if context.options.text("format", "table") == "json":
        _print_json(pids)
        return 0
    _print_table([["PID", "PPID", "USER", "COMMAND"], *filter(None, map(_process_row, pids))])
    return 0


def _process_row(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            parent = f.read().rpartition(")")[2].split()[1]
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            command = f.read().replace("\0", " ").strip()
        return [str(pid), parent, _user_name(os.stat(f"/proc/{pid}").st_uid), command]
    except (FileNotFoundError, ProcessLookupError):
        return None


def features(_: Context) -> int:
    _print_json(features_document())
    return 0


def spec(context: Context) -> int:
    """Write a config.json to start from."""
    path = os.path.join(context.options.text("bundle", "."), "config.json")
    if os.path.exists(path):
        raise Invalid(f"file {path} exists; remove it first", reason="exists")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(template(rootless=context.options.has("rootless")), f, indent="\t")
        f.write("\n")
    return 0


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
