"""The corpus: command lines and requests about networks, as text, and what an engine answers to them, made comparable.

    === name                        a case; what it makes is removed after it
    $ network create gn-a           a line of the docker CLI; its status, stdout and stderr are kept
    > POST /networks/create {…}     a request; its status and JSON are kept
      ~ why                         of the line above: Corten answers otherwise on purpose

Names begin with `gn-`, @IMAGE is a busybox, @HELD runs one that sleeps. `expected.json` holds, line by line, what Docker
answered, and for lines with a reason what Corten does. `python -m tests.integration.networks.record HOST` renews Docker's, and
with `corten` for HOST ours.
Ids, addresses that the engine chose and ports of the ephemeral range are numbered in order of appearance, MAC addresses and times are
left out.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.daemon import Called

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
PREFIX = "gn-"
HELD = "run -d --stop-signal KILL"
Call = Callable[[str, str, Any], Called]
Answer = dict[str, Any]
"""Of a command: "status", "out", "err". Of a request: "status", "json"."""


@dataclass(slots=True)
class Line:
    kind: str  # "$" or ">"
    text: str
    why: str = ""


@dataclass(slots=True)
class Case:
    name: str
    lines: list[Line] = field(default_factory=list)


def cases() -> list[Case]:
    return [case for file in sorted((HERE / "cases").glob("*.txt")) for case in _parsed(file.read_text())]


def _parsed(text: str) -> Iterator[Case]:
    for block in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        name, *lines = block.splitlines()
        case = Case(name.strip())
        for line in lines:
            if line.startswith(("$ ", "> ")):
                case.lines.append(Line(line[0], line[2:]))
            elif line.startswith("  ~ "):
                case.lines[-1].why = line[4:]
        yield case


Run = Callable[[list[str]], tuple[int, str, str]]
"""A command of the CLI: its status, stdout and stderr."""


def answers(case: Case, run: Run, call: Call, image: str) -> list[Answer]:
    """What an engine says to each line, made comparable."""
    neutral = Neutral(image)
    found = []
    try:
        for line in case.lines:
            text = line.text.replace("@HELD", HELD).replace("@IMAGE", image)
            if line.kind == "$":
                status, out, err = run(shlex.split(text))
                found.append({"status": status, "out": neutral.text(out), "err": neutral.text(_error(err))})
            else:
                method, target, body = (*text.split(" ", 2), "")[:3]
                answer = call(method, target, json.loads(body) if body else None)
                shown = neutral.text(answer.body.decode()) if answer.body.strip() else "null"
                value = json.loads(shown)
                if answer.status >= 400:  # the hint is Corten's own
                    value = {"message": value.get("message")}
                if isinstance(value, dict) and value.keys() == {"Id", "Warnings"}:
                    value = {"Warnings": value["Warnings"]}
                found.append({"status": answer.status, "json": value})
    finally:
        clear(call)
    return [_settled(answer) for answer in found]


def _error(text: str) -> str:
    """Hints are Corten's own; what the CLI says of its help is not the engine's."""
    text = re.sub(r"^(hint: .*|Run '.*|.*can only be specified.*pull.*)\n?", "", text, flags=re.MULTILINE)
    return text.strip()


def _settled(answer: Answer) -> Answer:
    for name in ("out", "err"):
        if name in answer:
            answer[name] = answer[name].strip("\n").split("\n") if answer[name].strip() else []
    return answer


def clear(call: Call) -> None:
    for container in call("GET", "/containers/json?all=1", None).json():
        if any(name.startswith(f"/{PREFIX}") for name in container["Names"]):
            call("DELETE", f"/containers/{container['Id']}?force=1&v=1", None)
    networks = [n for n in call("GET", "/networks", None).json() if n["Name"].startswith(PREFIX)]
    for network in sorted(networks, key=lambda n: bool(n["ConfigOnly"])):
        call("DELETE", f"/networks/{network['Id']}", None)


class Neutral:
    """Replaces what differs between runs, the same value by the same word, as long as the value where columns are."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._seen: dict[str, list[str]] = {}

    def text(self, text: str) -> str:
        text = text.replace(self._image, "IMAGE")
        text = re.sub(r"\b[0-9a-f]{64}\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12}\b", self._id, text)
        text = re.sub(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC", text)
        text = re.sub(r"\bfd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:", lambda m: f"fdXX:{self._number('six', m[0])}:", text)
        text = re.sub(r"\bfd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::", lambda m: f"fdXX:{self._number('six', m[0])}::", text)
        text = re.sub(r"\b(172\.(?:1[6-9]|2\d|3[01])|192\.168)\.", lambda m: f"172.{self._number('four', m[1]):02}x.", text)
        text = re.sub(r"\b\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z| ?[+-]\d\d:?\d\d)(?: UTC)?", "TIME", text)
        return re.sub(r"(?<=:)(3[2-9]|[45]\d|6[0-5])\d{3}\b|(?<=\")(3[2-9]|[45]\d|6[0-5])\d{3}(?=\")", self._port, text)

    def _number(self, kind: str, value: str) -> int:
        seen = self._seen.setdefault(kind, [])
        if value not in seen:
            seen.append(value)
        return seen.index(value)

    def _id(self, match: re.Match[str]) -> str:
        """A short one is the beginning of a long one."""
        return f"id{self._number('id', match[0][:12]):010}" + "0" * (len(match[0]) - 12)

    def _port(self, match: re.Match[str]) -> str:
        return f"P{self._number('port', match[0]):04}"
