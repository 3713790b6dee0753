"""After an edit no step runs again that BuildKit would have kept, and what comes out is what a build from nothing gives."""

import json
from pathlib import Path

import pytest

from tests.integration.build.building import Said, corten, import_base
from tests.integration.build.edits import EDITS, REPEATED, ROUNDS, World, edited, repeated
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
BUILDKIT: dict[str, list[str]] = json.loads(REPEATED.read_text())


@pytest.fixture(scope="module")
def base(engine: Daemon) -> None:
    import_base(engine)


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("name", EDITS)
def test_an_edit(engine: Daemon, base: None, tmp_path: Path, name: str, number: int) -> None:
    case = edited(name, number, f"{name}-{number}")
    build(engine, case.before, tmp_path / "before")
    after = build(engine, case.after, tmp_path / "after")
    again = repeated(after.err, case.after.salt)
    kept = layers(engine)
    build(engine, case.after, tmp_path / "anew", "--no-cache")
    assert set(again) <= set(BUILDKIT[case.name])
    assert kept == layers(engine)
    engine.call("DELETE", "/images/edited?force=1")


def build(engine: Daemon, world: World, folder: Path, *flags: str) -> Said:
    folder.mkdir()
    world.write(folder)
    said = corten(engine.host, "build", "--reproducible", "--progress", "plain", "-t", "edited", *flags, *world.flags(), str(folder))
    assert said.status == 0, said.err
    return said


def layers(engine: Daemon) -> list[str]:
    found: list[str] = engine.call("GET", "/images/edited/json").json()["RootFS"]["Layers"]
    return found
