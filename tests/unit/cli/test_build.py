"""`build`: what goes to the engine."""

import io
import os
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from corten.cli.build.command import BUILD, build_query
from corten.cli.build.context import local_context, stdin_context
from corten.cli.build.status import SolveStatus
from corten.cli.errors import Failure
from corten.cli.flags import Parser, Values


def names(stream: Iterator[bytes]) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return tar.getnames()


def flags(*words: str) -> Values:
    return Parser(BUILD.flags).parse(words)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "app/main.py", "app/junk.pyc", "data/big", "data/keep", "other/Dockerfile"):
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "context"


def test_whole_folder(folder: Path) -> None:
    stream, dockerfile = local_context(str(folder), "")
    assert dockerfile == "Dockerfile"
    found = names(stream)
    assert found[0] == "."
    assert {"./app/junk.pyc", "./data/big", "./other/Dockerfile"} <= set(found)


def test_ignored_files_stay_here_but_the_dockerfile_goes(folder: Path) -> None:
    (folder / ".dockerignore").write_text("**/*.pyc\ndata\n!data/keep\nDockerfile\n.dockerignore\nother\n")
    found = set(names(local_context(str(folder), "")[0]))
    assert found == {".", "./.dockerignore", "./Dockerfile", "./app", "./app/main.py", "./data", "./data/keep"}


def test_ignore_file_of_the_dockerfiles_own_goes_first(folder: Path) -> None:
    (folder / ".dockerignore").write_text("app\n")
    (folder / "other" / "Dockerfile.dockerignore").write_text("data\n")
    stream, dockerfile = local_context(str(folder), str(folder / "other" / "Dockerfile"))
    assert dockerfile == "other/Dockerfile"
    found = set(names(stream))
    assert "./app/main.py" in found
    assert "./data" not in found


def test_dockerfile_outside_goes_along_under_a_name_of_ours(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "Elsewhere").write_text("FROM x")
    stream, dockerfile = local_context(str(folder), str(tmp_path / "Elsewhere"))
    assert dockerfile in names(stream)


@pytest.mark.parametrize(
    ("where", "dockerfile", "complaint"),
    [
        ("nothing", "", 'unable to prepare context: path "nothing" not found'),
        (".", "nothing", "unable to evaluate symlinks in Dockerfile path: lstat"),
    ],
)
def test_no_context(where: str, dockerfile: str, complaint: str) -> None:
    with pytest.raises(Failure, match=complaint):
        local_context(where, dockerfile)


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Path]:
    """A file that stands in for stdin."""
    path = tmp_path / "stdin"
    kept = os.dup(0)
    path.touch()
    opened = os.open(path, os.O_RDONLY)
    os.dup2(opened, 0)
    os.close(opened)
    yield path
    os.dup2(kept, 0)
    os.close(kept)


def test_dockerfile_from_stdin(typed: Path) -> None:
    typed.write_text("FROM x\n")
    stream, dockerfile = stdin_context("")
    assert (names(stream), dockerfile) == (["Dockerfile"], "Dockerfile")


def test_archive_from_stdin_as_it_is(typed: Path, folder: Path) -> None:
    raw = b"".join(local_context(str(folder), "")[0])
    typed.write_bytes(raw)
    stream, dockerfile = stdin_context("other/Dockerfile")
    assert (b"".join(stream), dockerfile) == (raw, "other/Dockerfile")


def test_two_dockerfiles(typed: Path) -> None:
    typed.write_text("FROM x\n")
    with pytest.raises(Failure, match="ambiguous Dockerfile source"):
        stdin_context("Dockerfile")


def test_query(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "on")
    words = [
        "-t",
        "a:1",
        "-t",
        "b",
        "--build-arg",
        "X=1",
        "--build-arg",
        "PASSED",
        "--label",
        "l=v",
        "-m",
        "1g",
        "--no-cache",
        "--target",
        "t",
    ]
    query = build_query(flags(*words, "--platform", "linux/arm64", "--add-host", "h:1.2.3.4", "--ulimit", "nofile=1"), {"HTTP_PROXY": "p"})
    assert query == {
        "version": "1",
        "rm": "1",
        "memory": str(1 << 30),
        "target": "t",
        "nocache": "1",
        "buildargs": '{"HTTP_PROXY": "p", "X": "1", "PASSED": "on"}',
        "labels": '{"l": "v"}',
        "ulimits": '[{"Name": "nofile", "Hard": 1, "Soft": 1}]',
        "t": ["a:1", "b"],
        "extrahosts": ["h:1.2.3.4"],
        "platform": "linux/arm64",
        "networkmode": "default",
    }


def test_times_of_steps_are_read_as_they_are_sent() -> None:
    progress = SolveStatus()
    for day in ("1970-01-01", "2024-02-29", "2024-03-01", "2026-12-31", "2100-03-01"):
        vertex = {"digest": day, "name": day, "started": f"{day}T23:59:58.250000000Z", "completed": f"{day}T23:59:59Z"}
        ((found, _),) = progress.take({"vertexes": [vertex]})
        assert found.started == datetime.fromisoformat(f"{day}T23:59:58.250000+00:00").timestamp()
        assert found.seconds(0) == 0.75
