"""`build --check-reproducible`: the same twice passes; else the step, the file and what differs, and nothing is tagged."""

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
