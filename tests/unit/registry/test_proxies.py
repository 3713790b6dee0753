"""Which proxy a URL goes through. The cases are those of Go's `http/httpproxy`."""

import pytest

from corten.registry.proxies import ProxySettings

NO_PROXY = "foo.test,.bar.test,*.star.test,10.0.0.0/8,192.168.1.1:5000,1.2.3.4,[2001:db8::1]:443,port.test:8080,not/a/network"
PROXIES = ProxySettings("plain.test:3128", "http://secure.test:3128", NO_PROXY)


@pytest.mark.parametrize(
    "url",
    [
        "https://foo.test/v2/",
        "https://a.foo.test/v2/",
        "https://a.bar.test/",
        "https://a.star.test/",
        "https://10.1.2.3:5000/",
        "http://192.168.1.1:5000/",
        "https://1.2.3.4:9999/",
        "https://[2001:db8::1]/",
        "http://port.test:8080/",
        "http://localhost:5000/",
        "http://127.0.0.1:5000/",
        "http://[::1]:5000/",
    ],
)
def test_reached_directly(url: str) -> None:
    assert PROXIES.find(url) is None


@pytest.mark.parametrize(
    "url", ["https://xfoo.test/", "https://bar.test/", "https://192.168.1.1/", "https://port.test/", "https://11.0.0.1/"]
)
def test_reached_through_the_proxy(url: str) -> None:
    assert PROXIES.find(url) == "http://secure.test:3128"


def test_the_scheme_chooses_and_a_missing_scheme_is_http() -> None:
    assert PROXIES.find("http://x.test/") == "http://plain.test:3128"
    assert ProxySettings("", "", "").find("https://x.test/") is None
    assert ProxySettings("p", "p", "*").find("https://x.test/") is None


def test_flags_win_over_the_environment() -> None:
    environ = {"HTTPS_PROXY": "http://env:1", "http_proxy": "http://lower:1", "NO_PROXY": "a"}
    assert ProxySettings.of(environ, https="http://flag:1") == ProxySettings("http://lower:1", "http://flag:1", "a")
