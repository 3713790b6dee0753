"""Variable replacement: each case is an expression and what BuildKit makes of it with A=a, B=b, EMPTY= and PATHS=/x/y.tar.gz."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.build.dockerfile.expand import Expander
from corten.errors import Invalid

VALUES = {"A": "a", "B": "b", "EMPTY": "", "PATHS": "/x/y.tar.gz", "SPACED": "one two"}

CASES = [
    ("$A", "a"),
    ("${A}b", "ab"),
    ("$A$B", "ab"),
    ("$Ab", ""),
    ("\\$A", "$A"),
    ("'$A'", "$A"),
    ('"$A"', "a"),
    ('"\\$A"', "$A"),
    ("a'b'c", "abc"),
    ("${UNSET:-x}", "x"),
    ("${EMPTY:-x}", "x"),
    ("${EMPTY-x}", ""),
    ("${UNSET-x}", "x"),
    ("${A:+x}", "x"),
    ("${EMPTY:+x}", ""),
    ("${EMPTY+x}", "x"),
    ("${UNSET+x}", ""),
    ("${UNSET:-${A}z}", "az"),
    ("${UNSET:-$B}", "b"),
    ("${PATHS#*/}", "x/y.tar.gz"),
    ("${PATHS##*/}", "y.tar.gz"),
    ("${PATHS%.*}", "/x/y.tar"),
    ("${PATHS%%.*}", "/x/y"),
    ("${PATHS/y/z}", "/x/z.tar.gz"),
    ("${PATHS//\\//-}", "-x-y.tar.gz"),
    ("${PATHS#nomatch}", "/x/y.tar.gz"),
    ("$", "$"),
    ("a$", "a$"),
    ("$/x", "$/x"),
    ("\\\\", "\\"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_word(text: str, expected: str) -> None:
    assert Expander(VALUES).word(text) == expected


def test_words_split_only_unquoted_space() -> None:
    assert Expander(VALUES).words('$SPACED "$SPACED" three\\ four') == ["one", "two", "one two", "three four"]


def test_heredoc_bodies_keep_their_quotes() -> None:
    assert Expander(VALUES).keeping_quotes("say \"$A\" '\\$B'\n") == "say \"a\" '$B'\n"


def test_unset_names_are_reported() -> None:
    e = Expander(VALUES)
    e.word("$NOPE ${ALSO_NOT} ${FINE:-x} $A")
    assert e.unknown == {"NOPE", "ALSO_NOT"}
    assert e.used == {"NOPE", "ALSO_NOT", "FINE", "A"}


@pytest.mark.parametrize("text", ["'open", '"open', "${A", "${}", "${A@Q}", "${UNSET:?must be there}"])
def test_bad_substitutions_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Expander(VALUES).word(text)


@given(st.text("aA${}:-+#%/'\"\\ ", max_size=20))
def test_any_text_expands_or_is_refused(text: str) -> None:
    try:
        assert isinstance(Expander(VALUES).word(text), str)
    except Invalid as error:
        assert error.reason.startswith("dockerfile")


@given(st.text("abc xyz.", max_size=20))
def test_text_without_specials_is_itself(text: str) -> None:
    assert Expander(VALUES).word(text) == text
