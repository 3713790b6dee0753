"""Where credentials may follow a redirect."""

import pytest

from corten.registry.transport import same_origin


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://registry.example/v2/x", True),
        ("https://registry.example:443/other", True),
        ("https://REGISTRY.example/x", True),
        ("http://registry.example/v2/x", False),
        ("https://registry.example:444/v2/x", False),
        ("https://registry.example.org/v2/x", False),
        ("https://user@elsewhere.example/registry.example", False),
        ("http://registry.example:443/v2/x", False),
    ],
)
def test_the_same_scheme_host_and_port(other: str, same: bool) -> None:
    assert same_origin("https://registry.example/v2/a", other) is same
