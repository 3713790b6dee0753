"""Volume specifications that Docker's CLI refuses by itself, in its words (28.5)."""

import pytest

from corten.cli.options.mounts import parse_mount, volumes


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("/usr:/v:ro:x", "too many colons"),
        ("nn:/v:ro:", "too many colons"),
        ("a:/v::x", "empty section between colons"),
        ("/v:", "empty section between colons"),
        (":/v", "empty section between colons"),
    ],
)
def test_what_is_no_specification(spec: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"invalid spec: {spec}: {why}"):
        volumes([spec])


@pytest.mark.parametrize("spec", ["a:b:c:d", "a::b", "C:/x:/v", "nn:/v", "/usr:/v:ro"])
def test_what_the_engine_judges(spec: str) -> None:
    assert volumes([spec]) == ([spec], {})


def test_an_empty_mount() -> None:
    with pytest.raises(ValueError, match="EOF"):
        parse_mount("")
