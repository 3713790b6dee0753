"""`corten gc`: what is asked of the engine, and what is printed of its answer."""

import io
from pathlib import Path
from typing import Any

import pytest

from corten.cli.main import run
from corten.cli.session import Session
from corten.client.configfile import ConfigFile
from corten.client.errors import ApiError

GOING = {"Kind": "image", "ID": "ab", "Name": "old:1", "Size": 2_000_000, "LastUsed": "", "Why": "no container, not used for 14d"}
STAYING = {"Kind": "image", "ID": "cd", "Name": "base:1", "Size": 0, "LastUsed": "", "Why": "pinned by base"}
MARKS = {"High": "90%", "Low": "80%", "Trash": "7d", "Keep": "14d", "Pin": ["base"]}


class Engine:
    def __init__(self, answer: dict[str, Any] | None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []

    def post(self, path: str, query: Any = None, body: Any = None) -> Any:
        self.asked.append((path, body))
        if self.answer is None:
            raise ApiError(404, "page not found")
        return self.answer

    def close(self) -> None:
        pass


def gc(folder: Path, answer: dict[str, Any] | None, *flags: str) -> tuple[int, str, str, Any]:
    engine, out, err = Engine(answer), io.StringIO(), io.StringIO()
    config = ConfigFile(str(folder))
    session = Session(program="corten", environ={}, out=out, err=err, config=config, connect=lambda *_: engine)  # type: ignore[arg-type]
    status = run(session, ["gc", *flags])
    return status, out.getvalue(), err.getvalue(), engine.asked[0][1]


def answer(**more: Any) -> dict[str, Any]:
    return {
        "DryRun": False, "Used": 90_000_000, "Total": 100_000_000, "Wanted": 10_000_000, "Marks": MARKS,
        "Going": [GOING], "Staying": [STAYING], "Reclaimed": 2_000_000, **more,
    }  # fmt: skip


def test_what_went(tmp_path: Path) -> None:
    status, out, err, body = gc(tmp_path, answer(), "--low", "50%", "--keep", "3d")
    assert (status, err, body) == (0, "", {"DryRun": False, "Low": "50%", "Keep": "3d"})
    assert out == "image: old:1\nTotal reclaimed space: 2MB\n"


def test_what_would_go_and_why(tmp_path: Path) -> None:
    status, out, err, body = gc(tmp_path, answer(DryRun=True), "--explain")
    assert (status, err, body) == (0, "dry run: nothing was removed\n", {"DryRun": True})
    lines = [line.split("   ") for line in out.split("\n")]
    assert lines[0] == ["Disk:  90MB of 100MB used (90%)"]
    assert lines[1] == ["Marks: high 90%, low 80%, trash 7d, keep 14d, pinned: base"]
    assert lines[2] == ["To be down at low 10MB have to come back; 2MB can."]
    assert [[cell.strip() for cell in line if cell] for line in lines[6:8]] == [
        ["KIND", "NAME", "SIZE", "LAST USED", "WHY"],
        ["image", "old:1", "2MB", "never", "no container, not used for 14d"],
    ]
    assert "Containers and volumes are never taken" in out


@pytest.mark.parametrize(("wanted", "said"), [(0, "nothing goes"), (5, "Nothing may go")])
def test_nothing_goes(tmp_path: Path, wanted: int, said: str) -> None:
    _, out, _, _ = gc(tmp_path, answer(Wanted=wanted, Going=[], Reclaimed=0))
    assert said in out
    assert out.endswith("Total reclaimed space: 0B\n")


def test_another_engine(tmp_path: Path) -> None:
    status, _, err, _ = gc(tmp_path, None)
    assert (status, err) == (1, "this engine is not Corten, and has no garbage collection of this kind\n")


def test_long_names_are_cut(tmp_path: Path) -> None:
    step = {**GOING, "Kind": "build-cache", "Name": f"RUN /bin/sh -c pip install {'torch ' * 20}# buildkit"}
    out = gc(tmp_path, answer(DryRun=True, Going=[step]), "--explain")[1]
    row = next(line for line in out.splitlines() if line.startswith("build-cache"))
    assert row.split("   ")[1] == "RUN pip install torch torch torch torch torch tor…"
