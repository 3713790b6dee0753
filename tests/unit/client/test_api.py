"""Calls, versions, errors and URLs."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.client.api import Api, filters_query
from corten.client.configfile import ConfigFile
from corten.client.endpoint import Choice, resolve
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import encoded, query_string, quoted
from tests.support.fake_engine import API_VERSION, Answer, FakeEngine, Recorded, listening


def script(request: Recorded) -> Answer | None:
    match request.path:
        case "/json":
            return Answer(200, {"path": request.path, "query": request.query})
        case "/hint":
            return Answer(501, {"message": "not yet", "reason": "r", "hint": "do that"})
        case "/hinted":
            return Answer(501, {"message": "not yet: do that", "hint": "do that"})
        case "/text":
            return Answer(400, b"client is too old\n", "text/plain")
        case "/silent":
            return Answer(500, b"", "text/plain")
    return None


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeEngine, str]]:
    folder = tmp_path_factory.mktemp("api")
    with listening(folder / "s", script) as found:
        yield found, f"unix://{folder}/s"


@pytest.fixture
def api(engine: tuple[FakeEngine, str]) -> Iterator[Api]:
    made = Api(resolve(Choice(host=engine[1]), {}, ConfigFile("/nothing")), agent="test")
    yield made
    made.close()


def test_who_answers_and_its_version_are_asked_at_once(engine: tuple[FakeEngine, str]) -> None:
    fake, host = engine
    before = fake.pings
    api = Api(resolve(Choice(host=host), {}, ConfigFile("/nothing")), agent="test")
    assert api.greeting()["api-version"] == api.version == API_VERSION
    assert api.greeting()
    assert fake.pings == before + 1
    api.close()


def test_version_is_the_older_of_both(api: Api, engine: tuple[FakeEngine, str]) -> None:
    assert api.version == API_VERSION
    assert api.speaks("1.24")
    assert not api.speaks("1.51")
    older = Api(api.endpoint, agent="test", newest="1.30")
    assert older.version == "1.30"
    pinned = Api(api.endpoint, agent="test", pinned="1.99")
    assert (pinned.version, pinned.sibling().version) == ("1.99", "1.99")
    for made in (older, pinned):
        made.close()


def test_call(api: Api) -> None:
    assert api.get("/json", {"a": "x y", "b": ["1", "2"]}) == {"path": "/json", "query": {"a": "x y", "b": "2"}}
    assert api.post("/nothing", body={"a": 1}) is None


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        ("/hint", "Error response from daemon: not yet\nHint: do that", 501),
        ("/hinted", "Error response from daemon: not yet: do that", 501),
        ("/text", "Error response from daemon: client is too old", 400),
        ("/silent", "Error response from daemon: status 500 without a message", 500),
    ],
)
def test_error(path: str, text: str, status: int, api: Api) -> None:
    with pytest.raises(ApiError) as raised:
        api.get(path)
    assert (str(raised.value), raised.value.status) == (text, status)


def test_nobody_answers(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/s"
    with pytest.raises(CannotConnect, match=f"Cannot connect to the Corten daemon at {host}. Is cortend running"):
        _ = Api(resolve(Choice(host=host), {}, ConfigFile("/nothing")), agent="test").version


def test_filters() -> None:
    query = filters_query([("label", "a"), ("label", "b"), ("name", "c"), ("", "")])
    assert json.loads(query["filters"]) == {"label": {"a": True, "b": True}, "name": {"c": True}}
    assert filters_query([]) == {}


@settings(max_examples=50)
@given(st.text())
def test_encoding_is_urllibs(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    assert encoded(clean) == quote(clean, safe="")
    assert quoted(clean) == quote(clean, safe="/:@")


def test_query() -> None:
    assert query_string({"a": "x&y", "b": ["1", "2"]}) == "a=x%26y&b=1&b=2"
