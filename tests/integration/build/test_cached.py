"""A build that finds everything in the cache: it mounts nothing, reads no layer, and says what the first one said."""

from pathlib import Path

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged

DOCKERFILE = """FROM corpus/base AS made
WORKDIR /made
RUN mkdir many && for i in 1 2 3; do echo $i > many/$i; done

FROM corpus/base
ENV A=b
WORKDIR /srv
COPY file .
RUN echo more > more
COPY --from=made /made/many ./many
COPY --from=made --exclude=*.txt /made/m* ./wild/
COPY --link --from=corpus/base /etc/passwd ./linked/
WORKDIR /srv
WORKDIR /etc
CMD ["sh"]
"""


@pytest.fixture
def built(daemon: Daemon, tmp_path: Path) -> str:
    """The image's id after a first build of `tmp_path`."""
    import_base(daemon)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "file").write_text("content")
    return _built(daemon, tmp_path)


def _built(daemon: Daemon, folder: Path) -> str:
    said = corten(daemon.host, "build", "-q", str(folder))
    assert said.status == 0, said.err
    return said.out.strip()


def test_a_cached_build_needs_no_layer(daemon: Daemon, built: str, tmp_path: Path) -> None:
    layers = daemon.data_root / "layers"
    away = layers.rename(layers.with_name("layers-away"))
    layers.mkdir()
    try:
        assert _built(daemon, tmp_path) == built
        assert corten(daemon.host, "build", "--no-cache", str(tmp_path)).status, "without the cache it does need them"
    finally:
        layers.rmdir()
        away.rename(layers)
    assert _built(daemon, tmp_path) == built


def test_what_was_seen_is_of_those_layers_only(daemon: Daemon, built: str, tmp_path: Path) -> None:
    """Another layer below, another answer: the directory of a WORKDIR, what is copied from a stage."""
    held = "RUN test -f /srv/many/4 && test -f /srv/wild/4 && test -d /srv"
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("1 2 3", "1 2 3 4") + held)
    assert _built(daemon, tmp_path) != built
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    assert _built(daemon, tmp_path) == built
