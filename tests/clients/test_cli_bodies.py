"""What our CLI sends and says for the flags of `create`, beside Docker's stock CLI. The recording is what the unit tests compare with.

`CORTEN_RECORD=1 pytest tests/clients/test_cli_bodies.py` records anew.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_cases import CASES, REQUESTS, VARIABLES, difference, last_request, lines, loaded, placeless, words, write_files
from tests.support.fake_engine import FakeEngine, listening

RECORDING = Path(__file__).parents[1] / "unit" / "cli" / "create.json"
DOCKER = shutil.which("docker")
RELEASE = "28.2.2"
"""Of the docker CLI that was recorded: others have other flags and texts."""
FOUND = subprocess.run([DOCKER, "--version"], capture_output=True, text=True, check=True).stdout if DOCKER else ""
pytestmark = pytest.mark.skipif(f"version {RELEASE}," not in FOUND, reason=f"needs the stock docker CLI {RELEASE}")


class StockCli:
    """Docker's CLI in a folder of its own, talking to an engine that records."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.folder = folder
        self.engine = engine
        config = folder / "config"
        config.mkdir()
        self.environ = {**os.environ, **VARIABLES, "DOCKER_HOST": f"unix://{folder}/engine.sock", "DOCKER_CONFIG": str(config)}

    def observe(self, arguments: list[str]) -> dict[str, Any]:
        """Status, what was said, and the body and query of the create call, with the folder's name taken out."""
        self.engine.requests.clear()
        assert DOCKER
        done = subprocess.run(
            [DOCKER, *arguments], cwd=self.folder, env=self.environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        seen: dict[str, Any] = {"status": done.returncode, "said": placeless(done.stderr, self.folder)}
        made = [r for r in self.engine.requests if r.path == "/containers/create"]
        if made:
            seen["query"], seen["body"] = made[0].query, loaded(made[0].body, self.folder)
        return seen

    def last(self, arguments: list[str]) -> dict[str, Any]:
        """The last request of a command."""
        self.observe(arguments)
        return last_request(self.engine.requests)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockCli]:
    folder = tmp_path_factory.mktemp("stock")
    write_files(folder)
    with listening(folder / "engine.sock") as engine:
        yield StockCli(folder, engine)


def test_recording_is_what_the_stock_cli_does(stock: StockCli) -> None:
    plain = stock.observe(["create", "img"])["body"]
    cases: dict[str, Any] = {}
    for case in lines(CASES):
        seen = stock.observe(words(case))
        cases[case] = {**seen, "body": difference(seen["body"], plain)} if "body" in seen else seen
    requests = {case: stock.last(shlex.split(case)) for case in lines(REQUESTS)}
    recording = {"plain": plain, "cases": cases, "requests": requests}
    if os.environ.get("CORTEN_RECORD"):
        RECORDING.write_text(json.dumps(recording, indent=1, sort_keys=True) + "\n")
    assert json.loads(RECORDING.read_text()) == recording
