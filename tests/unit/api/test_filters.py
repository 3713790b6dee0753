"""The `filters` value."""

import pytest

from corten.api.filters import filter_bool, parse_filters
from corten.errors import Invalid

LABEL = ("label", "dangling")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('{"label":["a","b=c"]}', {"label": ["a", "b=c"]}),
        ('{"label":{"a":true,"b=c":true}}', {"label": ["a", "b=c"]}),
        ('{"label":{"a":true,"b":false}}', {"label": ["a"]}),
        ("{}", {}),
    ],
)
def test_both_forms(text: str, expected: dict[str, list[str]]) -> None:
    assert parse_filters(text, LABEL) == expected


@pytest.mark.parametrize("text", ["foo", "[]", '{"label":"a"}', '{"label":[1]}', '{"label":{"a":1}}', "null", "{"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(Invalid, match=r"^invalid filter$"):
        parse_filters(text, LABEL)


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(Invalid, match=r"^invalid filter 'foo'$") as caught:
        parse_filters('{"foo":["x"]}', LABEL)
    assert caught.value.hint == "known filters: dangling, label"


@pytest.mark.parametrize(("values", "expected"), [(["1"], True), (["true"], True), (["0"], False), (["false"], False), ([], False)])
def test_booleans(values: list[str], expected: bool) -> None:
    assert filter_bool({"dangling": values}, "dangling") is expected


@pytest.mark.parametrize("values", [["maybe"], ["FALSE"], ["1", "0"]])
def test_bad_booleans(values: list[str]) -> None:
    with pytest.raises(Invalid, match="invalid filter 'dangling="):
        filter_bool({"dangling": values}, "dangling")
