"""What is said about images is what Docker says: the corpus of `image_corpus`, recorded on Docker 28.5 with its own CLI.

Our CLI prints all of it; with the stock CLI, whose own texts change from release to release, only what engine and CLI say on success and
what the engine refuses is compared.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.image_corpus import DIFFERENT, EXPECTED, SCENARIOS, clean, lines_of, name_of, prepare, seen
from tests.support.daemon import Daemon
from tests.support.two_clis import Cli, Seen, our_program

pytestmark = pytest.mark.privileged
RECORDED: dict[str, list[dict[str, Any]]] = json.loads(EXPECTED.read_text())


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("program", ["stock", "own"])
def test_it_is_what_docker_said(scenario: str, program: str, engine: Daemon, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "bin").mkdir()
    path = request.getfixturevalue("golden_docker_program") if program == "stock" else our_program(tmp_path / "bin")
    cli = Cli(path, name_of(scenario), engine.host, tmp_path)
    prepare(cli)
    try:
        wrong = [text for entry in RECORDED[scenario] if (text := difference(cli, entry, stock=program == "stock"))]
    finally:
        clean(cli)
    assert not wrong, "\n".join(wrong)


def test_every_line_is_recorded() -> None:
    assert {name: [entry["line"] for entry in entries] for name, entries in RECORDED.items()} == {n: lines_of(n) for n in SCENARIOS}
    lines = [line for name in SCENARIOS for line in lines_of(name)]
    assert set(DIFFERENT) <= set(lines)


def difference(cli: Cli, entry: dict[str, Any], *, stock: bool) -> str:
    expected, found = Seen(entry["out"], entry["err"], entry["status"]), seen(cli, entry["line"])
    if found == expected or entry["line"] in DIFFERENT:
        return ""
    if stock and expected.status and "Error response from daemon" not in expected.err:
        return ""
    return f"$ {entry['line']}\n  expected {expected}\n  found    {found}"
