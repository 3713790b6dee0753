"""`create` out of flags: the same body, query, sentence and status as Docker's CLI, from a recording of it."""

import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.cli.main import run
from corten.cli.session import Session
from corten.client.api import Api
from corten.client.configfile import ConfigFile
from corten.client.endpoint import Choice, resolve
from tests.support.cli_cases import CASES, REQUESTS, VARIABLES, difference, last_request, lines, loaded, placeless, words, write_files
from tests.support.fake_engine import API_VERSION, FakeEngine, listening

RECORDING: dict[str, Any] = json.loads((Path(__file__).parent / "create.json").read_text())
Workplace = tuple[Path, FakeEngine, Api]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("create")
    write_files(folder)
    with listening(folder / "engine.sock") as engine:
        choice = Choice(host=f"unix://{folder}/engine.sock")
        api = Api(resolve(choice, {}, ConfigFile(str(folder))), agent="test", pinned=API_VERSION)
        yield folder, engine, api
        api.close()


def observe(workplace: Workplace, arguments: list[str]) -> dict[str, Any]:
    """What one command line of ours does, in the form of the recording."""
    folder, engine, api = workplace
    engine.requests.clear()
    out, err = io.StringIO(), io.StringIO()
    environ = {"DOCKER_HOST": f"unix://{folder}/engine.sock", "HOME": str(folder)}
    config = ConfigFile(str(folder / "nothing"))
    session = Session(program="docker", environ=environ, out=out, err=err, config=config, connect=lambda *_: api)
    seen: dict[str, Any] = {"status": run(session, arguments), "said": placeless(err.getvalue(), folder)}
    made = [r for r in engine.requests if r.path == "/containers/create"]
    if made:
        seen["query"] = made[0].query
        seen["body"] = difference(loaded(made[0].body, folder), RECORDING["plain"])
    return seen


@pytest.mark.parametrize("case", lines(REQUESTS))
def test_request_is_dockers(case: str, workplace: Workplace) -> None:
    """The last request of commands that are little more than that."""
    folder, engine, api = workplace
    engine.requests.clear()
    config = ConfigFile(str(folder / "nothing"))
    session = Session(program="docker", environ={}, out=io.StringIO(), err=io.StringIO(), config=config, connect=lambda *_: api)
    try:
        run(session, shlex.split(case))
    except (TypeError, KeyError, AttributeError, ValueError):
        pass  # the engine's answer is empty, which no engine's is
    assert last_request(engine.requests) == RECORDING["requests"][case]


@pytest.mark.parametrize("case", lines(CASES))
def test_create_does_what_dockers_does(case: str, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOPE", raising=False)
    monkeypatch.chdir(workplace[0])
    assert observe(workplace, words(case)) == RECORDING["cases"][case]
