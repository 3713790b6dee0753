"""`builder prune --filter`: each name takes what it says, none is passed over."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.build.building import corten, import_base
from tests.support.daemon import Daemon

pytestmark = pytest.mark.privileged


@pytest.fixture
def filled(daemon: Daemon, tmp_path: Path) -> Daemon:
    """Two steps that an image has, one that none has any more, and a cache mount."""
    import_base(daemon)
    dockerfile = "FROM corpus/base\nRUN echo one > /one\nRUN --mount=type=cache,target=/c,id=pip echo two > /two; echo x > /c/x\n"
    for text, tag in ((dockerfile, "kept"), ("FROM corpus/base\nRUN echo lonely > /l\n", "gone")):
        (tmp_path / "Dockerfile").write_text(text)
        assert corten(daemon.host, "build", "-q", "-t", tag, str(tmp_path)).status == 0
    daemon.call("DELETE", "/images/gone").ok()
    return daemon


def pruned(daemon: Daemon, **filters: str) -> int:
    given = {name: {value: True} if value else {} for name, value in filters.items()}
    answer = daemon.call("POST", f"/build/prune?all=1&filters={quote(json.dumps(given))}")
    assert answer.status == 200, answer.body
    return len(answer.json()["CachesDeleted"] or ())


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("type", "exec.cachemount", 1),
        ("type", "regular", 3),
        ("shared", "true", 2),
        ("shared", "", 2),
        ("shared", "false", 2),
        ("private", "1", 2),
        ("private", "0", 2),
        ("inuse", "true", 0),
        ("inuse", "false", 4),
        ("description", "RUN /bin/sh -c echo one > /one # buildkit", 1),
        ("description", "RUN", 0),
        ("id", "pip", 1),
        ("parent", "anything", 0),
        ("until", "24h", 0),
    ],
)
def test_each(filled: Daemon, name: str, value: str, count: int) -> None:
    assert pruned(filled, **{name: value}) == count
    assert pruned(filled) == 4 - count


def test_together_and_wrong(filled: Daemon) -> None:
    assert pruned(filled, type="regular", private="true") == 1
    answer = filled.call("POST", f"/build/prune?filters={quote(json.dumps({'shared': {'maybe': True}}))}")
    assert (answer.status, answer.json()["message"]) == (400, "failed to prune build cache: invalid filter 'shared=maybe': true or false")
    said = corten(filled.host, "builder", "prune", "-af", "--filter", "private=true")
    assert "Total" in said.out
