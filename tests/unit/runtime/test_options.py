"""The command line's grammar, limits as options, signals, the log."""

import json
import signal
from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.runtime.commands.lifecycle import parse_signal
from corten.runtime.commands.log import Log
from corten.runtime.commands.options import Option, parse, parse_mixed
from corten.runtime.commands.table import COMMANDS, run_line
from corten.runtime.commands.update import OPTIONS, resources_of
from corten.runtime.main import MAKES_PROCESSES

TABLE = (Option("bundle", "b"), Option("tty", "t", value=False), Option("detach", "d", value=False), Option("env", "e", many=True))


@pytest.mark.parametrize(
    "line", [["--bundle", "X", "id"], ["--bundle=X", "id"], ["-b", "X", "id"], ["-bX", "id"], ["-b=X", "id"], ["-bundle", "X", "id"]]
)
def test_a_value_in_every_spelling(line: list[str]) -> None:
    parsed = parse(line, TABLE)
    assert (parsed.text("bundle"), parsed.arguments) == ("X", ["id"])


def test_flags_clusters_and_repetition() -> None:
    parsed = parse(["-td", "-eA=1", "--env", "B=2", "id", "-x"], TABLE)
    assert parsed.has("tty")
    assert parsed.has("detach")
    assert parsed.texts("env") == ["A=1", "B=2"]
    assert parsed.arguments == ["id", "-x"]
    assert not parse(["--tty=false"], TABLE).has("tty")


def test_options_after_arguments_or_behind_a_double_dash() -> None:
    assert parse_mixed(["id", "KILL", "--tty"], TABLE).has("tty")
    assert parse_mixed(["id", "--tty", "KILL"], TABLE).arguments == ["id", "KILL"]
    assert parse(["--", "-t"], TABLE).arguments == ["-t"]


@pytest.mark.parametrize(("line", "words"), [(["--nope"], "--nope"), (["-x"], "-x"), (["--bundle"], "wants a value"), (["-tx"], "-x")])
def test_bad_lines_are_refused_by_name(line: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse(line, TABLE)


def test_numbers() -> None:
    assert parse(["--bundle", "3"], TABLE).number("bundle") == 3
    assert parse([], TABLE).number("bundle") is None
    with pytest.raises(Invalid, match="--bundle"):
        parse(["--bundle", "x"], TABLE).number("bundle")


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("9", 9), ("KILL", 9), ("SIGTERM", 15), ("term", 15), ("RTMIN+3", signal.SIGRTMIN + 3)]
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["-1", "65", "NOPE", "_IGN", "RTMIN+x", ""])
def test_bad_signals(text: str) -> None:
    with pytest.raises(Invalid, match="unknown signal"):
        parse_signal(text)


def test_limits_as_options() -> None:
    line = ["--memory", "512m", "--cpu-quota=-1", "--cpuset-cpus", "0-1", "--pids-limit", "7"]
    assert resources_of(parse(line, OPTIONS)) == {
        "memory": {"limit": 512 << 20},
        "cpu": {"quota": -1, "cpus": "0-1"},
        "pids": {"limit": 7},
    }
    with pytest.raises(Invalid, match="nothing to update"):
        resources_of(parse([], OPTIONS))
    with pytest.raises(Invalid, match="invalid value for memory: invalid size: 'lots'"):
        resources_of(parse(["--memory", "lots"], OPTIONS))
    with pytest.raises(Invalid, match="invalid value for cpu-quota"):
        resources_of(parse(["--cpu-quota=1k"], OPTIONS))


def test_the_log_has_the_form_that_podman_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    Log(str(path), True).error('no "x"', "try y")
    Log(f"file:{path}", False).warning("careful")
    first, second = path.read_text().splitlines()
    assert {**json.loads(first), "time": ""} == {"level": "error", "msg": 'no "x"', "time": ""}
    assert second.endswith('level=warning msg="careful"')
    assert capsys.readouterr().err == 'corten-runtime: no "x"\nhint: try y\n'


def test_help_version_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["--help"]) == 0
    text = capsys.readouterr().out
    assert [name for name in COMMANDS if f"  {name} " not in text] == []
    assert run_line(["create", "--help"]) == 0
    assert "--console-socket" in capsys.readouterr().out
    assert run_line(["--version"]) == 0
    assert "spec: 1.2" in capsys.readouterr().out
    assert run_line(["dance"]) == 1
    assert run_line(["checkpoint", "x"]) == 1
    assert run_line(["--wrong"]) == 1
    assert set(MAKES_PROCESSES) <= set(COMMANDS)
    assert "unknown command 'dance'" in capsys.readouterr().err
