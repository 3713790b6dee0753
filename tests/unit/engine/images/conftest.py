from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.images.ground import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground.open(tmp_path / "root")
    yield made
    made.store.close()
