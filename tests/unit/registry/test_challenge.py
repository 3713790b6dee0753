"""WWW-Authenticate as registries write it."""

from hypothesis import given
from hypothesis import strategies as st

from corten.registry.challenge import Challenge, parse_challenges


def test_bearer_with_scope() -> None:
    header = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull,push"'
    assert parse_challenges(header) == [
        Challenge(
            "bearer",
            {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:library/debian:pull,push"},
        )
    ]


def test_several_schemes_in_one_header() -> None:
    found = parse_challenges('Negotiate, Basic realm="a \\"quoted\\" b", Bearer Realm=https://x')
    assert [c.scheme for c in found] == ["negotiate", "basic", "bearer"]
    assert found[1].parameters == {"realm": 'a "quoted" b'}
    assert found[2].parameters == {"realm": "https://x"}


@given(st.text(max_size=80))
def test_anything_is_read_without_an_exception(header: str) -> None:
    assert all(c.scheme == c.scheme.lower() for c in parse_challenges(header))
