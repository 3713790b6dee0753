"""The route table and how it is searched."""

from collections import Counter
from pathlib import Path

import pytest

from corten.api.handlers.unsupported import Refusal
from corten.api.router import Router, split_version
from corten.api.routes import ROUTES

OPERATIONS = Path(__file__).parents[2] / "api" / "operations.txt"
ROUTER = Router(ROUTES)


def operations() -> list[tuple[str, str]]:
    lines = OPERATIONS.read_text().splitlines()
    return [(method, path) for method, path in (line.split() for line in lines if line and not line.startswith("#"))]


@pytest.mark.parametrize(("method", "path"), operations(), ids=str)
def test_every_operation_of_the_api_is_routed_or_refused_on_purpose(method: str, path: str) -> None:
    example = path.replace("{id}", "abc").replace("{name}", "x/y")
    match = ROUTER.find(method, example)
    assert match
    assert match.route.template == path


def test_no_row_is_there_twice() -> None:
    assert [row for row, count in Counter((route.method, route.template) for route in ROUTES).items() if count > 1] == []


def test_every_refusal_has_a_reason_and_a_hint() -> None:
    refusals = [route.handler for route in ROUTES if isinstance(route.handler, Refusal)]
    assert all(refusal.reason and refusal.hint and refusal.message for refusal in refusals)


@pytest.mark.parametrize(
    ("method", "path", "template", "params"),
    [
        ("GET", "/images/json", "/images/json", {}),
        ("GET", "/images/a/b/c:tag/json", "/images/{name}/json", {"name": "a/b/c:tag"}),
        ("GET", "/images/host:5000/x@sha256:ab/history", "/images/{name}/history", {"name": "host:5000/x@sha256:ab"}),
        ("DELETE", "/images/a/b", "/images/{name}", {"name": "a/b"}),
        ("GET", "/images/get", "/images/get", {}),
        ("GET", "/images/x/get", "/images/{name}/get", {"name": "x"}),
        ("GET", "/containers/json/json", "/containers/{id}/json", {"id": "json"}),
        ("GET", "/containers/x/attach/ws", "/containers/{id}/attach/ws", {"id": "x"}),
        ("DELETE", "/containers/x/checkpoints/y", "/containers/{id}/checkpoints/{checkpoint}", {"id": "x", "checkpoint": "y"}),
        ("GET", "/volumes/create", "/volumes/{name}", {"name": "create"}),
    ],
)
def test_paths_find_their_rows(method: str, path: str, template: str, params: dict[str, str]) -> None:
    match = ROUTER.find(method, path)
    assert match
    assert (match.route.template, match.params) == (template, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("POST", "/_ping"), ("GET", "/version/"), ("GET", "/containers/json/"), ("GET", ""), ("GET", "/")],
)
def test_paths_that_mean_nothing(method: str, path: str) -> None:
    assert ROUTER.find(method, path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.51/info", ("1.51", "/info")),
        ("/info", ("", "/info")),
        ("/v1./x", ("1.", "/x")),
        ("/vabc/x", ("", "/vabc/x")),
        ("/v1.51", ("", "/v1.51")),
    ],
)
def test_the_version_of_a_path(path: str, expected: tuple[str, str]) -> None:
    assert split_version(path) == expected
