"""Which texts are git sources, and what they name."""

import pytest

from corten.build.files.git import GitSource, is_git, parse_git
from corten.errors import Invalid


@pytest.mark.parametrize(
    ("text", "git"),
    [
        ("https://host/a/b.git", True),
        ("https://host/a/b.git#v1:sub", True),
        ("git@github.com:a/b.git", True),
        ("git://host/a", True),
        ("ssh://git@host/a", True),
        ("github.com/a/b", True),
        ("https://host/a.tar.gz", False),
        ("./b.git", False),
        ("file", False),
    ],
)
def test_is_git(text: str, git: bool) -> None:
    assert is_git(text) is git


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://h/b.git", GitSource("https://h/b.git")),
        ("https://h/b.git#v1:sub/dir", GitSource("https://h/b.git", "v1", "sub/dir")),
        ("https://h/b.git#:sub", GitSource("https://h/b.git", "", "sub")),
        ("https://h/b.git?branch=dev&subdir=x", GitSource("https://h/b.git", "dev", "x")),
        ("github.com/a/b#main", GitSource("https://github.com/a/b", "main")),
    ],
)
def test_parse(text: str, source: GitSource) -> None:
    assert parse_git(text) == source


@pytest.mark.parametrize(
    "text", ["https://h/b.git#--upload-pack=x", "https://h/b.git#v1:../..", "https://h/b.git?nope=1", "https://h/b.git#a b"]
)
def test_hostile(text: str) -> None:
    with pytest.raises(Invalid):
        parse_git(text)
