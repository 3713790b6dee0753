"""Which requests on plain tcp come from a page in a browser."""

import pytest

from corten.http.message import Headers
from corten.http.origin import host_names, is_foreign

NAMES = host_names(("build.example.org",))


def headers(**fields: str) -> Headers:
    return Headers((name.replace("_", "-").lower().encode(), value.encode()) for name, value in fields.items())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:2375", "[::1]:2375", "localhost:2375", "docker:2375", "api.moby.localhost", "192.0.2.7", "build.example.org:2375", ""],
)
def test_names_of_this_machine(host: str) -> None:
    assert not is_foreign(headers(Host=host), NAMES)


@pytest.mark.parametrize("host", ["attacker.example:2375", "127.0.0.1.attacker.example", "build.example.org.evil.example", "1.2.3.4.5"])
def test_names_of_others(host: str) -> None:
    assert is_foreign(headers(Host=host), NAMES)


def test_pages_of_other_sites() -> None:
    assert is_foreign(headers(Host="localhost:2375", Origin="http://attacker.example"), NAMES)
    assert is_foreign(headers(Host="localhost:2375", Origin="http://localhost:8000"), NAMES)
    assert is_foreign(headers(Host="localhost:2375", Origin="null"), NAMES)
    assert is_foreign(headers(Host="localhost:2375", Sec_Fetch_Site="cross-site"), NAMES)
    assert not is_foreign(headers(Host="localhost:2375", Origin="http://localhost:2375", Sec_Fetch_Site="same-origin"), NAMES)
