"""`build --call`: what is asked of the engine instead of a build, and how its answer is printed. As buildx does both."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from corten.cli.build.report import check_report
from corten.cli.build.status import SolveStatus, Status
from corten.cli.errors import Failure
from corten.cli.output.tables import aligned

METHODS = ("build", "check", "outline", "targets")
FORMATS = ("", "text", "json")


class Call(NamedTuple):
    """`method` "build" is an ordinary build. `format` "json", else text; `ignores_status`: warnings of a check are no failure."""

    method: str
    format: str = ""
    ignores_status: bool = False


def parse_call(text: str, *, check: bool) -> Call:
    """`METHOD[,format=text|json][,ignorestatus=true|false]`; `check` is the flag of that name. Raises Failure."""
    method, *fields = text.split(",")
    found = {"format": "", "ignorestatus": "false"}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals or key not in found:
            raise Failure(f"ERROR: invalid print field: {field}\nhint: format=text, format=json, ignorestatus=true")
        found[key] = value
    method = "check" if check or method == "lint" else method or "build"
    if method not in METHODS:
        raise Failure(f"ERROR: failed to build: failed to solve: unsupported request frontend.{method}\nhint: one of {', '.join(METHODS)}")
    if found["format"] not in FORMATS:
        raise Failure(f"ERROR: invalid format {found['format']!r} of --call: text or json")
    if found["ignorestatus"].lower() not in ("true", "1", "false", "0"):
        raise Failure(f"ERROR: invalid value {found['ignorestatus']!r} for ignorestatus of --call: true or false")
    return Call(method, found["format"], found["ignorestatus"].lower() in ("true", "1"))


def answer(call: Call, progress: SolveStatus) -> tuple[str, int]:
    """What is to be printed, and the exit status."""
    if call.method == "check":
        text = _json(_checked(progress)) if call.format == "json" else check_report(progress.warnings)
        return text, 1 if progress.warnings and not call.ignores_status else 0
    if call.format == "json":
        return _json({key: value for key, value in progress.described.items() if key != "filename"}), 0
    return (_outline if call.method == "outline" else _targets)(progress.described), 0


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _checked(progress: SolveStatus) -> dict[str, Any]:
    warnings = [_warning(w) for w in progress.warnings]
    name, texts = progress.described.get("filename"), progress.described.get("sources", ())
    return {"warnings": warnings, "sources": [{"filename": name, "data": text, "language": "Dockerfile"} for text in texts]}


def _warning(warning: Status) -> dict[str, Any]:
    from binascii import a2b_base64

    detail = "".join(a2b_base64(text).decode() for text in warning.get("detail", ()))
    line = {"line": warning["line"]}
    return {
        "ruleName": warning["rule"],
        "description": detail,
        "url": warning["url"],
        "detail": warning["message"],
        "location": {"ranges": [{"start": line, "end": line}]},
    }


def _outline(found: Status) -> str:
    lines = list[str]()
    head = [("TARGET:", found.get("name", "")), ("DESCRIPTION:", found.get("description", ""))]
    if shown := [row for row in head if row[1]]:
        lines += [*_table(shown, 1), ""]
    for title, key, row in _TABLES:
        if rows := found.get(key):
            lines += [*_table([title, *map(row, rows)], 3), ""]
    return "\n".join(lines)


def _yes(row: Status) -> tuple[str, str]:
    return str(row["name"]), "true" if row.get("required") else ""


def _argument(row: Status) -> tuple[str, str, str]:
    return str(row["name"]), str(row.get("value", "")), str(row.get("description", ""))


_TABLES: tuple[tuple[tuple[str, ...], str, Callable[[Status], tuple[str, ...]]], ...] = (
    (("BUILD ARG", "VALUE", "DESCRIPTION"), "args", _argument),
    (("SECRET", "REQUIRED"), "secrets", _yes),
    (("SSH", "REQUIRED"), "ssh", _yes),
)


def _targets(found: Status) -> str:
    rows = [("TARGET", "DESCRIPTION")]
    for target in found.get("targets", ()):
        name, is_last = target.get("name", ""), target.get("default")
        shown = f"{name} (default)" if name and is_last else name or ("(default)" if is_last else "")
        if shown:
            rows.append((shown, str(target.get("description", ""))))
    return "\n".join(_table(rows, 1))


def _table(rows: Sequence[Sequence[str]], gap: int) -> list[str]:
    return aligned(["\t".join(row) for row in rows], narrowest=0, padding=gap)
