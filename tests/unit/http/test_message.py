"""Header fields, queries and paths as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.http.message import Headers, find_redirect, parse_query, split_target


def test_headers_ignore_case_and_keep_repetitions() -> None:
    headers = Headers([(b"accept", b"a"), (b"x-method", b"one"), (b"x-method", b"two, THREE")])
    assert headers.get("Accept") == "a"
    assert headers.get("missing", "none") == "none"
    assert headers.get_all("X-Method") == ["one", "two, THREE"]
    assert headers.tokens("x-method") == ["one", "two", "three"]
    assert "ACCEPT" in headers
    assert "host" not in headers


def test_query_keeps_order_blanks_and_plus() -> None:
    assert parse_query("a=1&b=&a=x+y&c=%2F") == {"a": ["1", "x y"], "b": [""], "c": ["/"]}
    assert parse_query("") == {}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1.51/info?x=1", ("/v1.51/info", "x=1")),
        ("/images/a%2Fb%3Atag/json", ("/images/a/b:tag/json", "")),
        ("http://docker/_ping", ("/_ping", "")),
        ("/build?remote=http://x/y", ("/build", "remote=http://x/y")),
    ],
)
def test_targets_in_origin_and_absolute_form(target: str, expected: tuple[str, str]) -> None:
    assert split_target(target) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("//version", "/version"),
        ("/v1.51/images/a//b/json", "/v1.51/images/a/b/json"),
        ("/v1.51/containers/foo/../json", "/v1.51/containers/json"),
        ("/a/./b/", "/a/b/"),
        ("/../x", "/x"),
        ("/containers/.hidden/json", None),
        ("/version", None),
        ("/networks/", None),
    ],
)
def test_unclean_paths_are_redirected_as_docker_does(path: str, expected: str | None) -> None:
    assert find_redirect(path, "") == expected


def test_redirect_keeps_the_query_and_quotes_what_must_be() -> None:
    assert find_redirect("//a b", "x=1") == "/a%20b?x=1"


@given(st.text(alphabet="ab./", max_size=12))
def test_a_redirect_leads_to_a_clean_path(text: str) -> None:
    target = find_redirect("/" + text, "")
    if target is not None:
        assert find_redirect(target, "") is None
