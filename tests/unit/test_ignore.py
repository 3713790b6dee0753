"""`.dockerignore`: each case states the patterns, a path and whether Docker leaves it out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.errors import Invalid
from corten.ignore import IgnoreRules, parse_ignore_file

CASES = [
    ("node_modules", "node_modules", True),
    ("node_modules", "node_modules/a/b.js", True),
    ("node_modules", "sub/node_modules", False),
    ("**/node_modules", "sub/node_modules/x", True),
    ("**/node_modules", "node_modules", True),
    ("*.py", "a.py", True),
    ("*.py", "sub/a.py", False),
    ("**/*.py", "a.py", True),
    ("**/*.py", "x/y/a.py", True),
    ("*/temp*", "somedir/temporary.txt", True),
    ("*/*/temp*", "a/b/temporary.txt", True),
    ("temp?", "tempa", True),
    ("temp?", "temp/", False),
    ("/foo/bar", "foo/bar", True),
    ("foo/bar/", "foo/bar/baz", True),
    ("foo/./bar", "foo/bar", True),
    ("# comment\n\n a.txt ", "a.txt", True),
    ("*.md\n!README.md", "README.md", False),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
    ("docs\n!docs/keep", "docs/keep/me.md", False),
    ("docs\n!docs/keep", "docs/other.md", True),
    ("[a-c].txt", "b.txt", True),
    ("[^a-c].txt", "b.txt", False),
    ("\\*.txt", "*.txt", True),
    ("\\*.txt", "a.txt", False),
    ("data/**", "data/x/y", True),
    ("a**b", "a/x/b", True),
    ("**", "anything/at/all", True),
    ("a.b", "aXb", False),
    (".", "anything", False),
]


@pytest.mark.parametrize(("patterns", "path", "ignored"), CASES)
def test_patterns(patterns: str, path: str, ignored: bool) -> None:
    assert IgnoreRules(parse_ignore_file(patterns)).ignores(path) is ignored


def test_a_folder_is_walked_only_when_something_below_may_come_back() -> None:
    rules = IgnoreRules(parse_ignore_file("data\nmodels\n!data/keep/this"))
    assert not rules.prunes("data")
    assert not rules.prunes("data/keep")
    assert rules.prunes("data/other")
    assert rules.prunes("models")
    assert not rules.prunes("src")


@pytest.mark.parametrize("pattern", ["[", "a[b", "x\\"])
def test_a_bad_pattern_is_named(pattern: str) -> None:
    with pytest.raises(Invalid, match="syntax error in pattern"):
        IgnoreRules(parse_ignore_file(pattern))


@given(st.lists(st.text("ab*?/!.", max_size=8), max_size=5), st.text("ab/.", min_size=1, max_size=8))
def test_pruning_never_hides_what_is_wanted(patterns: list[str], folder: str) -> None:
    rules = IgnoreRules(parse_ignore_file("\n".join(patterns)))
    if rules.prunes(folder):
        assert all(rules.ignores(f"{folder}/{name}") for name in ("a", "b", "ab", "a/b", "b/a"))
