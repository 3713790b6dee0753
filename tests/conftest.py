"""Options and fixtures of every suite. What a fixture needs is imported when it is used: unit tests pay for none of it."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Where Python is told to keep no compiled code, every run would compile all tests, and each of hundreds of daemons all of Corten.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["tests.support.daemon", "tests.support.leaks", "tests.support.clients"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--privileged", action="store_true", help="also run what needs root and a real kernel")
    parser.addoption("--reference", default="", metavar="HOST", help="also run the API cases on this Docker (unix:///...)")


def pytest_configure() -> None:
    """Property tests have no time limit of their own: a busy machine must not turn them red.

    CI tries the same examples each time, so that a run judges the change and not the dice; `make check` at a desk goes on searching.
    """
    settings.register_profile("corten", deadline=None, derandomize=bool(os.environ.get("CI")))
    settings.load_profile("corten")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --privileged such tests are deselected, and counted in the last line; with it they run or fail."""
    if config.getoption("--privileged"):
        return
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if item.get_closest_marker("privileged") else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="session")
def reference_host(request: pytest.FixtureRequest) -> str:
    """The Docker that `--reference` names; without it such a test is skipped."""
    host: str = request.config.getoption("--reference")
    if not host:
        pytest.skip("no --reference engine was named")
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        pytest.fail(f"{host} is not there")
    return host
