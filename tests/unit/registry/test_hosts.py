"""Names to endpoints."""

from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.registry.hosts import RegistrySettings, endpoints, is_insecure


def settings(tmp_path: Path, **more: tuple[str, ...]) -> RegistrySettings:
    return RegistrySettings(certs_d=(tmp_path,), mirrors=more.get("mirrors", ()), insecure=more.get("insecure", ()))


def test_docker_hub_has_its_own_host_and_mirrors_come_first(tmp_path: Path) -> None:
    found = endpoints("docker.io", settings(tmp_path, mirrors=("https://mirror.test/",)))
    assert [e.url for e in found] == ["https://mirror.test", "https://registry-1.docker.io"]
    assert not found[0].credentials


def test_mirrors_are_for_docker_hub_and_for_pulls_only(tmp_path: Path) -> None:
    s = settings(tmp_path, mirrors=("https://mirror.test",))
    assert [e.url for e in endpoints("nvcr.io", s)] == ["https://nvcr.io"]
    assert [e.url for e in endpoints("docker.io", s, push=True)] == ["https://registry-1.docker.io"]


@pytest.mark.parametrize("domain", ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.9.9.9"])
def test_loopback_is_insecure(domain: str, tmp_path: Path) -> None:
    found = endpoints(domain, settings(tmp_path))
    assert [e.url for e in found] == [f"https://{domain}", f"http://{domain}"]
    assert not found[0].verify


def test_insecure_by_name_and_network(tmp_path: Path) -> None:
    s = settings(tmp_path, insecure=("reg.test:5000", "10.0.0.0/8"))
    assert is_insecure("reg.test:5000", s)
    assert is_insecure("10.1.2.3:80", s)
    assert not is_insecure("reg.test", s)
    assert not is_insecure("11.1.2.3:80", s)


def test_docker_style_certificates(tmp_path: Path) -> None:
    folder = tmp_path / "reg.test:5000"
    folder.mkdir()
    for name in ("ca.crt", "client.cert", "client.key"):
        (folder / name).write_text("")
    (found,) = endpoints("reg.test:5000", settings(tmp_path))
    assert found.ca_files == (str(folder / "ca.crt"),)
    assert found.client_cert == (str(folder / "client.cert"), str(folder / "client.key"))


def test_hosts_toml_maps_a_name_to_another_host(tmp_path: Path) -> None:
    (tmp_path / "nvcr.io").mkdir()
    (tmp_path / "nvcr.io" / "hosts.toml").write_text('[host."http://127.0.0.1:5000"]\ncapabilities = ["pull", "resolve"]\n')
    assert [e.url for e in endpoints("nvcr.io", settings(tmp_path))] == ["http://127.0.0.1:5000", "https://nvcr.io"]
    assert [e.url for e in endpoints("nvcr.io", settings(tmp_path), push=True)] == ["https://nvcr.io"]


def test_hosts_toml_says_how_a_host_is_reached(tmp_path: Path) -> None:
    folder = tmp_path / "nvcr.io"
    folder.mkdir()
    text = """
server = "https://upstream.test"
[host."mirror.test/cache/nv"]
  capabilities = ["pull", "resolve"]
  ca = ["a.pem", "/etc/b.pem"]
  client = [["c.cert", "c.key"]]
  override_path = true
  [host."mirror.test/cache/nv".header]
    x-team = ["ml", "ops"]
[host."http://push.test"]
  capabilities = ["push"]
  skip_verify = true
"""
    (folder / "hosts.toml").write_text(text)
    mirror, upstream = endpoints("nvcr.io", settings(tmp_path))
    assert mirror.address("/v2/x/manifests/1") == "https://mirror.test/cache/nv/x/manifests/1"
    assert upstream.address("/v2/x/manifests/1") == "https://upstream.test/v2/x/manifests/1"
    assert mirror.ca_files == (str(folder / "a.pem"), "/etc/b.pem")
    assert mirror.client_cert == (str(folder / "c.cert"), str(folder / "c.key"))
    assert mirror.headers == (("x-team", "ml, ops"),)
    assert [e.url for e in endpoints("nvcr.io", settings(tmp_path), push=True)] == ["http://push.test", "https://upstream.test"]


def test_a_broken_hosts_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "nvcr.io").mkdir()
    (tmp_path / "nvcr.io" / "hosts.toml").write_text("[host\n")
    with pytest.raises(Invalid, match=r"hosts\.toml"):
        endpoints("nvcr.io", settings(tmp_path))
