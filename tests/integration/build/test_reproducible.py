"""`build --check-reproducible`: the same twice passes; else the step, the file and what differs, and nothing is tagged."""

import os
from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("RUN echo same > /x", ""),
        ("RUN --mount=type=cache,target=/c,id=twice mkdir -p /c/kept && echo same > /x", ""),
        ("RUN mkdir /d && head -c 8 /dev/urandom > /d/x", "RUN mkdir /d && head -c 8 /dev/urandom > /d/x: /d/x: content, 8 and 8 bytes"),
        ("RUN touch /name-$(cat /proc/sys/kernel/random/uuid)", "only in the "),
    ],
    ids=["same", "cache-mount", "content", "name"],
)
def test_twice(engine: Daemon, name: str, tmp_path: Path, line: str, complaint: str) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(f"FROM corpus/base AS one\n{line}\nFROM corpus/base\nCOPY --from=one / /copied\n")
    said = corten(engine.host, "build", "--progress", "plain", "--no-cache", "--check-reproducible", "-t", name, str(tmp_path))
    if not complaint:
        assert said.status == 0, said.err
        assert "Reproducible: two builds gave sha256:" in said.err
        assert "second build: [one 2/2]" in said.err
        return
    assert said.status == 1
    assert "ERROR: failed to build: failed to solve: not reproducible: " in said.err
    assert complaint in said.err
    assert engine.call("GET", f"/images/{name}/json").status == 404


@pytest.mark.parametrize(
    "words", [["--reproducible"], ["--build-arg", "SOURCE_DATE_EPOCH=1600000000"], []], ids=["flag", "epoch", "not asked for"]
)
def test_on_another_day(engine: Daemon, name: str, tmp_path: Path, words: list[str]) -> None:
    """The same files with other times, built afresh: the same image, where that is asked for."""
    import_base(engine)
    (tmp_path / "file").write_text("text")
    (tmp_path / "Dockerfile").write_text("FROM corpus/base\nCOPY file /file\nRUN echo same > /x\nLABEL a=b\n")
    ids = set()
    for moment in (1500000000, 1550000000):
        os.utime(tmp_path / "file", (moment, moment))
        said = corten(engine.host, "build", "-q", "--no-cache", *words, "-t", name, str(tmp_path))
        assert said.status == 0, said.err
        ids.add(said.out)
    assert len(ids) == (1 if words else 2)
