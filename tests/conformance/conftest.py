"""A bundle per test; whatever the test did, the container is gone afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.harness import Bundle


@pytest.fixture
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bundle]:
    tmp_path.chmod(0o755)
    (tmp_path / "bundle").mkdir()
    made = Bundle(tmp_path / "bundle", "c-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[:60])
    yield made
    made.remove()
