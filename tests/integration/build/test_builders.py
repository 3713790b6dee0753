"""`builder …` and `buildx …` of Corten's own CLI: what buildx's users type, without the plug-in."""

import json
import os
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
HISTORY = ("export", "import", "inspect", "logs", "ls", "open", "rm", "trace")


@pytest.fixture
def filled(daemon: Daemon, tmp_path: Path) -> Daemon:
    """An engine with two cached steps and a cache mount."""
    import_base(daemon)
    (tmp_path / "Dockerfile").write_text(
        "FROM corpus/base\nRUN echo one > /one\nRUN --mount=type=cache,id=kept,target=/c echo two > /two; head -c 5000 /dev/zero > /c/f\n"
    )
    for words in (("buildx", "build"), ("buildx", "b"), ("builder", "build"), ("image", "build")):
        assert corten(daemon.host, *words, "-q", "-t", "built", str(tmp_path)).status == 0
    return daemon


def test_each_that_works(filled: Daemon) -> None:
    host = filled.host
    for group in ("builder", "buildx"):
        listed = corten(host, group, "ls").out.splitlines()
        assert [line.split()[0] for line in listed] == ["NAME/NODE", "default*"]
        assert json.loads(corten(host, group, "ls", "--format", "json").out)["Name"] == "default*"
        shown = corten(host, group, "inspect", "--bootstrap").out
        assert "Driver: corten\n" in shown
        assert f"Platforms:      linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }" in shown
        assert corten(host, group, "inspect", "default").out == shown
        assert corten(host, group, "use", "default").status == 0
        assert corten(host, group, "version").out.startswith("corten/buildx v")


def test_disk_use(filled: Daemon) -> None:
    said = corten(filled.host, "buildx", "du").out.splitlines()
    assert said[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert [line.split("\t")[0] for line in said[-2:]] == ["Reclaimable:", "Total:"]
    assert sum(" true " in line for line in said) == 3
    rows = [json.loads(line) for line in corten(filled.host, "builder", "du", "--format", "json").out.splitlines()]
    assert {row["Type"] for row in rows} == {"regular", "exec.cachemount"}
    only = [
        json.loads(line)
        for line in corten(filled.host, "builder", "du", "--format=json", "--filter", "type=exec.cachemount").out.splitlines()
    ]
    assert [row["ID"] for row in only] == ["kept"]
    assert "Usage count:\t" in corten(filled.host, "buildx", "du", "--verbose").out
    assert "invalid filter 'nope'" in corten(filled.host, "buildx", "du", "--filter", "nope=1").err


def test_prune_under_both_names(filled: Daemon) -> None:
    said = corten(filled.host, "buildx", "prune", "-af", "--filter", "type=exec.cachemount", "--verbose")
    assert (said.status, said.out.splitlines()[-1].partition(":")[0]) == (0, "Total reclaimed space")
    assert "kept" not in corten(filled.host, "cache", "ls").out
    before = corten(filled.host, "buildx", "du", "--format=json").out
    assert corten(filled.host, "buildx", "prune", "-af", "--max-used-space", "10g").status == 0
    assert corten(filled.host, "buildx", "prune", "-af", "--reserved-space", "10g").status == 0
    assert corten(filled.host, "buildx", "du", "--format=json").out == before
    assert corten(filled.host, "builder", "prune", "-af", "--min-free-space", "1k").status == 0
    assert corten(filled.host, "builder", "prune", "-af").status == 0
    assert corten(filled.host, "buildx", "du", "--format=json").out == ""
    assert "--dry-run does not know" in corten(filled.host, "builder", "prune", "--dry-run", "--min-free-space", "1g").err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("bake",), "Docker's buildx plug-in does, and `corten compose build`"),
        (("buildx", "bake"), "Corten reads no bake files"),
        (("buildx", "create", "--name", "x"), "the engine is the only builder; `corten context create`"),
        (("buildx", "dap", "build"), "Corten has no debugger of builds"),
        (("buildx", "debug", "build"), "Corten has no debugger of builds"),
        (("buildx", "dial-stdio"), "`corten system dial-stdio` connects to it"),
        *((("buildx", "history", verb), "Corten keeps no history of builds") for verb in HISTORY),
        *((("buildx", "imagetools", verb, "x"), "Corten edits no manifest lists") for verb in ("create", "inspect")),
        *((("buildx", "policy", verb), "Corten evaluates no policies") for verb in ("eval", "json-schema", "test")),
        (("buildx", "rm", "default"), "the engine is the only builder, and stays"),
        (("buildx", "stop"), "the engine is the only builder"),
        (("builder", "bake"), "Corten reads no bake files"),
        (("buildx", "use", "nope"), 'failed to find instance "nope"'),
        (("buildx", "inspect", "nope"), 'no builder "nope" found'),
        (("buildx", "du", "--builder", "nope"), 'no builder "nope" found'),
        (("buildx", "prune", "-f", "--builder", "nope"), 'no builder "nope" found'),
        (("buildx", "nope"), "unknown command: corten buildx nope"),
        (("builder", "prune", "-f", "--filter", "nope=1"), "nope"),
        (("builder", "prune", "-f", "--keep-storage", "x"), "invalid size: 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_refused(engine: Daemon, words: tuple[str, ...], complaint: str) -> None:
    said = corten(engine.host, *words)
    assert said.status != 0
    assert complaint in said.err
