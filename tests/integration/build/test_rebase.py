"""COPY --link: its layer stays when what lies below it changes."""

from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged
DOCKERFILE = """FROM corpus/base AS tools
RUN echo tool > /tool && chmod 755 /tool
FROM corpus/base
ARG BELOW
RUN echo $BELOW > /below
COPY --link --chown=user file /app/file
COPY --link --from=tools /tool /usr/local/bin/tool
COPY file /plain
"""


def test_another_base_takes_the_same_layers(engine: Daemon, name: str, tmp_path: Path) -> None:
    import_base(engine)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "file").write_text("text\n")
    said, layers = [], []
    for below in (f"{name}-one", f"{name}-two"):
        said.append(corten(engine.host, "build", "--progress", "plain", "-t", name, "--build-arg", f"BELOW={below}", str(tmp_path)))
        assert said[-1].status == 0, said[-1].err
        layers.append(engine.call("GET", f"/images/{name}/json").json()["RootFS"]["Layers"])
    steps = {line.partition("] ")[2]: line.partition(" ")[0] for line in said[1].err.splitlines() if "] COPY" in line or "] RUN" in line}
    cached = {step for step, number in steps.items() if f"{number} CACHED" in said[1].err}
    assert cached >= {"COPY --link --chown=user file /app/file", "COPY --link --from=tools /tool /usr/local/bin/tool"}
    assert "COPY file /plain" not in cached
    assert layers[0][1] != layers[1][1]
    assert layers[0][2:4] == layers[1][2:4]
