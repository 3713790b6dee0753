"""`create` out of flags: the same body, query, sentence and status as Docker's CLI, from a recording of it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.cli.main import run
from corten.cli.session import Session
from corten.client.configfile import ConfigFile
from tests.support.cli_cases import CASES, VARIABLES, difference, lines, loaded, placeless, words, write_files
from tests.support.fake_engine import FakeEngine, listening

RECORDING: dict[str, Any] = json.loads((Path(__file__).parent / "create.json").read_text())
Workplace = tuple[Path, FakeEngine]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("create")
    write_files(folder)
    with listening(folder / "engine.sock") as engine:
        yield folder, engine


def observe(folder: Path, engine: FakeEngine, arguments: list[str]) -> dict[str, Any]:
    """What one command line of ours does, in the form of the recording."""
    engine.requests.clear()
    out, err = io.StringIO(), io.StringIO()
    environ = {"DOCKER_HOST": f"unix://{folder}/engine.sock", "HOME": str(folder)}
    session = Session(program="docker", environ=environ, out=out, err=err, config=ConfigFile(str(folder / "nothing")))
    seen: dict[str, Any] = {"status": run(session, arguments), "said": placeless(err.getvalue(), folder)}
    session.close()
    made = [r for r in engine.requests if r.path == "/containers/create"]
    if made:
        seen["query"] = made[0].query
        seen["body"] = difference(loaded(made[0].body, folder), RECORDING["plain"])
    return seen


@pytest.mark.parametrize("case", lines(CASES))
def test_create_does_what_dockers_does(case: str, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, engine = workplace
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOPE", raising=False)
    monkeypatch.chdir(folder)
    assert observe(folder, engine, words(case)) == RECORDING["cases"][case]
