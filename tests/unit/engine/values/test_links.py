import pytest

from corten.engine.values.links import Link, parse_link
from corten.errors import EngineError


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("db", Link("db", "db")),
        ("db:a", Link("db", "a")),
        ("/db:/web/a", Link("db", "a")),
        ("db:a/b", Link("db", "a/b")),
        (":", Link("", "")),
    ],
)
def test_forms(text: str, link: Link) -> None:
    assert parse_link(text) == link


@pytest.mark.parametrize("text", ["", "a:b:c"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(EngineError):
        parse_link(text)
