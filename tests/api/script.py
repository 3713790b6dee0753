"""The language of the API cases: requests with the status they get, and what their answers must hold. No I/O.

```
# A remark. A blank line ends a step.
POST /containers/create?name=$NAME {"Image":"$IMAGE"} 201     method, path, JSON body if any, status
  .Id ~ ^[0-9a-f]{64}$                                        a value of the answer matches a pattern
  .Warnings = []                                              … or equals a JSON value
  .HostConfig has NetworkMode                                 … or has a member (of an object or a list)
  send Accept: application/jsonl                              a header field that goes with the request
  header Content-Type = application/json                      a header field of the answer, = or ~
  text = OK                                                   the body as text, = or ~
  message = No such container: x                              short for .message, as plain text
  save ID .Id                                                 $ID from here on
@docker GET /x 200                                            a step, or a check, for one engine only: @docker or @corten
```
A status `400/500` is Corten's and, where it differs on purpose, Docker's. `$NAME` is unique to the run, `$IMAGE` a busybox, `$NOW` the
moment of the request; `\\$` is a dollar in a pattern. Without a version the newest is asked.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_STEP = re.compile(r"(GET|HEAD|POST|PUT|DELETE|OPTIONS) (\S+)(?: (.+))? (\d{3})(?:/(\d{3}))?")
_CHECK = re.compile(r"(\S+)(?: (\S+))? (=|~|has) ?(.*)")


@dataclass(frozen=True)
class Check:
    """`subject` is `.path.to[0].value`, `text`, or `header NAME`; `operator` is =, ~ or has."""

    subject: str
    operator: str
    expected: str
    engine: str = ""


@dataclass
class Step:
    method: str
    target: str
    body: str
    status: int
    docker_status: int
    line: int
    engine: str = ""
    checks: list[Check] = field(default_factory=list)
    saves: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)


def parse(text: str) -> list[Step]:
    """Raises ValueError naming the line."""
    steps: list[Step] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        engine, line = _engine(line)
        if raw.startswith(" "):
            if not steps:
                raise ValueError(f"line {number}: a check before any request")
            _add_detail(steps[-1], line, engine, number)
        else:
            steps.append(_parse_step(line, engine, number))
    return steps


def _engine(line: str) -> tuple[str, str]:
    if not line.startswith("@"):
        return "", line
    engine, _, rest = line[1:].partition(" ")
    return engine, rest


def _parse_step(line: str, engine: str, number: int) -> Step:
    match = _STEP.fullmatch(line)
    if not match:
        raise ValueError(f"line {number}: not a request: {line}")
    return Step(match[1], match[2], match[3] or "", int(match[4]), int(match[5] or match[4]), number, engine)


def _add_detail(step: Step, line: str, engine: str, number: int) -> None:
    if line.startswith("save "):
        _, name, subject = line.split(" ", 2)
        step.saves.append((name, subject))
        return
    if line.startswith("send "):
        name, _, value = line.removeprefix("send ").partition(": ")
        step.headers.append((name, value))
        return
    if line.startswith("message "):
        operator, _, expected = line.removeprefix("message ").partition(" ")
        step.checks.append(Check("message", operator, expected, engine))
        return
    match = _CHECK.fullmatch(line)
    if not match:
        raise ValueError(f"line {number}: not a check: {line}")
    subject = f"{match[1]} {match[2]}" if match[2] else match[1]
    step.checks.append(Check(subject, match[3], match[4], engine))


def filled(text: str, variables: Mapping[str, str]) -> str:
    """`$NAME` replaced. Raises KeyError for one that nothing has set."""
    return re.sub(r"(?<!\\)\$([A-Z]+)", lambda match: variables[match[1]], text)


def value_at(value: Any, path: str) -> Any:
    """`.a.b[0]` of a JSON value; a member that is not there is an AssertionError."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(-?\d+)\]", path):
        key = name or int(index)
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise AssertionError(f"no {path} in {value!r}") from None
    return value


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            raise AssertionError(f"not JSON: {self.body!r}") from None


def complaints(step: Step, answer: Answer, variables: Mapping[str, str], engine: str) -> Iterator[str]:
    """What is wrong with an answer, in words."""
    expected = step.docker_status if engine == "docker" else step.status
    if answer.status != expected:
        yield f"status {answer.status} instead of {expected}: {answer.body.decode(errors='replace')[:500]}"
        return
    for check in step.checks:
        if check.engine in ("", engine):
            yield from _judge(check, answer, filled(check.expected, variables))


def _judge(check: Check, answer: Answer, expected: str) -> Iterator[str]:
    try:
        found = subject_of(check.subject, answer)
    except AssertionError as error:
        yield str(error)
        return
    if check.operator == "=":
        holds = found == (json.loads(expected) if check.subject.startswith((".", "[")) else expected)
    elif check.operator == "~":
        holds = re.search(expected, found if isinstance(found, str) else json.dumps(found)) is not None
    else:
        holds = expected in found
    if not holds:
        yield f"{check.subject} is {found!r}, not {check.operator} {expected}"


def subject_of(subject: str, answer: Answer) -> Any:
    if subject.startswith("header "):
        return answer.headers.get(subject.removeprefix("header ").lower(), "")
    if subject == "text":
        return answer.body.decode()
    if subject == "message":
        return value_at(answer.json(), ".message")
    return value_at(answer.json(), subject)
