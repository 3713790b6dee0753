"""A lazy module stays out until it is used; the daemon's start brings none of those that it can do without."""

import subprocess
import sys

import pytest

from corten.lazy import LazyModule


def loaded_after(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_it_is_loaded_by_its_first_use() -> None:
    made = "from corten.lazy import LazyModule; m = LazyModule('colorsys')"
    assert "colorsys" not in loaded_after(made)
    assert "colorsys" in loaded_after(made + "; m.rgb_to_hsv")


def test_what_it_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        _ = LazyModule("colorsys").nothing


def test_an_idle_daemon_carries_no_http_client() -> None:
    assert loaded_after("import corten.daemon") & {"urllib3", "urllib.request", "http.client", "dnslib"} == set()


def test_an_idle_daemon_carries_neither_grpc_nor_yaml() -> None:
    loaded = loaded_after("import corten.daemon")
    assert "corten.api.buildkit.listener" in loaded, "the listener is there, what serves its connections is not"
    assert loaded & {"h2", "hpack", "hyperframe", "yaml", "corten.http.grpc", "corten.api.buildkit.server", "corten.build.solve"} == set()
