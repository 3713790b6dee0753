"""Every line of the corpus: Corten answers what Docker answered, to the stock CLI and to requests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.networks.corpus import EXPECTED, Case, answers, cases
from tests.integration.networks.record import docker
from tests.support.daemon import IMAGE, Daemon

pytestmark = pytest.mark.privileged
CASES = cases()
WANTED: dict[str, Any] = json.loads(EXPECTED.read_text())


@pytest.mark.usefixtures("golden_docker_program")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, engine: Daemon) -> None:
    found = answers(case, lambda words: docker(engine.host, words), engine.call, IMAGE)
    wanted = WANTED[case.name]
    assert [step["line"] for step in wanted] == [line.text for line in case.lines], "record the case anew"
    lines = [
        f"{line.kind} {line.text}\n    {difference}"
        for line, step, answer in zip(case.lines, wanted, found, strict=True)
        for difference in differences(answer, step["corten"] if line.why else step["docker"])
    ]
    assert not lines, "\n".join(lines)


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours.keys() | theirs.keys():
            yield from differences(ours.get(name, "<absent>"), theirs.get(name, "<absent>"), f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif isinstance(ours, str) and isinstance(theirs, str) and ours.startswith("{") and theirs.startswith("{"):
        yield from _of_json(ours, theirs, path)
    elif ours != theirs:
        yield f"{path}: {ours!r}, wanted: {theirs!r}"


def _of_json(ours: str, theirs: str, path: str) -> Iterator[str]:
    """Where two lines of JSON differ; their order counts too."""
    if ours == theirs:
        return
    try:
        found = list(differences(json.loads(ours), json.loads(theirs), path))
    except ValueError:
        found = []
    yield from found or [f"{path}: {ours!r}, wanted: {theirs!r}"]


def test_what_differs_has_a_reason_and_still_differs() -> None:
    for case in CASES:
        for line, step in zip(case.lines, WANTED[case.name], strict=True):
            assert ("corten" in step) == bool(line.why), f"{case.name}: {line.text}"
            assert step.get("corten") != step["docker"], f"{case.name}: {line.text} no longer differs"
