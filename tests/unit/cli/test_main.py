"""The program around the commands: help, errors, completion, statuses. The engine is a script."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten import __version__
from corten.cli.main import run
from corten.cli.session import Session
from corten.client.configfile import ConfigFile
from tests.support.fake_engine import Answer, FakeEngine, Recorded, listening

NETWORKS = [{"Name": "net1", "Driver": "bridge"}]
CONTAINERS = [{"Names": ["/web"], "Status": "Up"}, {"Names": ["/worker"], "Status": "Up"}]


def script(request: Recorded) -> Answer | None:
    name = request.path.split("/")[2] if request.path.count("/") > 1 else ""
    if name.startswith("bad"):
        return Answer(404, {"message": f"No such container: {name}"})
    match request.path:
        case "/containers/json":
            return Answer(200, CONTAINERS)
        case "/networks":
            return Answer(200, NETWORKS)
        case "/images/json":
            return Answer(200, [{"RepoTags": ["img:latest", "img:v1", "<none>:<none>"]}])
        case "/containers/prune":
            return Answer(200, {"ContainersDeleted": ["a"], "SpaceReclaimed": 2000})
        case "/containers/unbuilt/json":
            return Answer(501, {"message": "not yet", "hint": "wait"})
    return None


class Program:
    """`corten` with an engine; what one run printed is in `out` and `err`."""

    def __init__(self, engine: FakeEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.out = self.err = ""

    def __call__(self, *words: str, program: str = "corten") -> int:
        out, err = io.StringIO(), io.StringIO()
        environ = {"CORTEN_HOST": f"unix://{self.folder}/s", "HOME": str(self.folder)}
        session = Session(program=program, environ=environ, out=out, err=err, config=ConfigFile(str(self.folder)))
        status = run(session, words)
        session.close()
        self.out, self.err = out.getvalue(), err.getvalue()
        return status


@pytest.fixture(scope="module")
def corten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("main")
    with listening(folder / "s", script) as engine:
        yield Program(engine, folder)


def test_version_line(corten: Program) -> None:
    assert corten("--version") == 0
    assert corten.out.startswith(f"Corten version {__version__}, build ")
    assert corten("-v", program="docker") == 0
    assert corten.out.startswith("Docker version ")


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        ([], 0, "Usage:  corten [OPTIONS] COMMAND", ""),
        (["help"], 0, "Common Commands:", ""),
        (["--help", "ps"], 0, "Usage:  corten ps [OPTIONS]", ""),
        (["help", "container"], 0, "Usage:  corten container COMMAND", ""),
        (["container"], 0, "", "Usage:  corten container COMMAND"),
        (["container", "--help"], 0, "Usage:  corten container COMMAND", ""),
        (["ps", "--help"], 0, "corten container ls, corten container list, corten container ps, corten ps", ""),
        (["ps", "-h"], 0, "Flag shorthand -h has been deprecated, use --help", ""),
        (["help", "nothing"], 1, "", "unknown help topic: nothing"),
        (["nothing"], 1, "", "corten: unknown command: corten nothing\n\nRun 'corten --help' for more information"),
        (["container", "nothing"], 1, "", "corten: unknown command: corten container nothing"),
        (["swarm", "init"], 1, "", "corten: 'corten swarm' is not available: Corten has no swarm mode"),
        (["--nothing"], 125, "", "unknown flag: --nothing\n\nUsage:  corten [OPTIONS] COMMAND [ARG...]"),
        (["ps", "x"], 1, "", "corten: 'corten ps' accepts no arguments\n\nUsage:  corten ps [OPTIONS]\n\nRun 'corten ps --help'"),
        (
            ["rm"],
            1,
            "",
            "'corten rm' requires at least 1 argument\n\nUsage:  corten rm [OPTIONS] CONTAINER [CONTAINER...]\n\nSee 'corten rm --help'",
        ),
        (["tag", "a"], 1, "", "'corten tag' requires 2 arguments"),
        (["commit"], 1, "", "'corten commit' requires at least 1 and at most 2 arguments"),
        (["--log-level", "x", "ps"], 1, "", "Unable to parse logging level: x"),
        (["run", "--cpu-count", "1", "x"], 125, "", "--cpu-count: only engines on Windows have it"),
        (["kill", "bad"], 1, "", "Error response from daemon: No such container: bad"),
        (["container", "inspect", "unbuilt"], 1, "[]", "Error response from daemon: not yet\nHint: wait"),
        (["-H", "unix:///nothing", "ps"], 1, "", "Cannot connect to the Corten daemon at unix:///nothing"),
        (["-H", "unix:///nothing", "run", "x"], 125, "", "corten: Cannot connect to the Corten daemon"),
        (["-c", "x", "-H", "y", "ps"], 1, "", "conflicting options: cannot specify both --host and --context"),
        (["completion", "tcsh"], 1, "", "no completion for 'tcsh'"),
    ],
)
def test_run(words: list[str], status: int, out: str, err: str, corten: Program) -> None:
    assert corten(*words) == status
    assert out in corten.out
    assert err in corten.err
    assert bool(corten.err) is bool(err)


def test_many_names_side_by_side(corten: Program) -> None:
    names = [f"n{i}" for i in range(8)]
    assert corten("stop", *names[:3], "bad1", *names[3:], "bad2") == 1
    assert corten.out.split() == names
    assert corten.err == "Error response from daemon: No such container: bad1\nError response from daemon: No such container: bad2\n"
    assert corten("rm", "-f", "bad") == 0


def test_prune(corten: Program) -> None:
    corten.engine.requests.clear()
    assert corten("container", "prune", "-f", "--filter", "label=x") == 0
    assert corten.out == "Deleted Containers:\na\n\nTotal reclaimed space: 2kB\n"
    assert corten.engine.only("/containers/prune").query == {"filters": '{"label":{"x":true}}'}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ru"], ["run"]),
        (["container", "in"], ["inspect"]),
        (["ps", "--no"], ["--no-trunc"]),
        (["stop", "w"], ["web", "worker"]),
        (["run", "--network", ""], ["net1"]),
        (["run", "im"], ["img", "img:latest", "img:v1"]),
        (["run", "img", "w"], []),
        (["exec", "we"], ["web"]),
        (["completion", "z"], ["zsh"]),
        (["nothing", ""], []),
    ],
)
def test_completion(words: list[str], expected: list[str], corten: Program) -> None:
    assert corten("__complete", *words) == 0
    assert [line.partition("\t")[0] for line in corten.out.splitlines()] == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str, corten: Program) -> None:
    assert corten("completion", shell) == 0
    assert "corten __complete" in corten.out
