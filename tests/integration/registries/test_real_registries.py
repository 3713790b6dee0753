"""Debian's docker-registry behind TLS, client certificates, mirrors and a proxy with a password: set up as a user would."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.daemon import Daemon, import_busybox, run_name
from tests.support.real_registry import ADDRESS, Authority, Proxy, RealRegistry, overlaid_etc

pytestmark = pytest.mark.privileged
LOCKED, PLAIN, MIRROR, HUB = "locked.test:5443", "plain.test:5002", "mirror.test:5001", "registry-1.docker.io"
ALIAS = "alias.test:5443"
FLAGS = ("--insecure-registry", PLAIN, "--registry-mirror", f"https://{MIRROR}")
PROXY_PORT = 3128


@dataclass(frozen=True)
class Site:
    """A daemon among four registries: `hub`, `locked` (wants client certificates) and `plain` show the same images, `mirror` its own."""

    daemon: Daemon
    locked: RealRegistry
    plain: RealRegistry
    mirror: RealRegistry
    hub: RealRegistry

    def pull(self, name: str) -> str:
        return self.daemon.call("POST", f"/images/create?fromImage={quote(name, safe='')}&tag=latest").body.decode()

    def push(self, name: str) -> None:
        repository = quote(name, safe="")
        self.daemon.call("POST", f"/images/busybox/tag?repo={repository}&tag=latest").ok()
        answer = self.daemon.call("POST", f"/images/{name}/push?tag=latest").body
        assert b"digest: sha256:" in answer, answer
        self.forget(name)

    def forget(self, *names: str) -> None:
        for name in names:
            self.daemon.call("DELETE", f"/images/{name}:latest")

    def restart(self, *flags: str) -> None:
        self.daemon.stop()
        self.daemon.flags = flags
        self.daemon.start()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("registries")
    own, strange = Authority(folder / "own"), Authority(folder / "strange")
    client = own.sign("client")
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} locked.test plain.test mirror.test {HUB} unknown.test alias.test\n")
    files = {"hosts": str(folder / "hosts"), "nsswitch.conf": "/etc/nsswitch.conf"}
    for name in (LOCKED, ALIAS, MIRROR, "docker.io"):
        files[f"corten/certs.d/{name}/ca.crt"] = str(own.certificate)
    files[f"corten/certs.d/{LOCKED}/client.cert"], files[f"corten/certs.d/{LOCKED}/client.key"] = map(str, client)
    files["corten/certs.d/unknown.test:5443/ca.crt"] = str(strange.certificate)
    daemon = Daemon(run_name("real-registries"), *FLAGS)
    shared, mirrored = folder / "shared", folder / "mirrored"
    try:
        with ExitStack() as stack:
            daemon.start()
            pid = daemon.namespace_pid
            stack.enter_context(overlaid_etc(pid, folder / "etc", files))

            def started(port: int, storage: Path, host: str = "", **more: str) -> RealRegistry:
                certificate, key = own.sign(host, "alias.test") if host else ("", "")
                tls = {"certificate": certificate, "key": key, **more} if host else None
                return stack.enter_context(RealRegistry(folder, port, storage).running(pid, tls))

            site = Site(
                daemon,
                started(5443, shared, "locked.test", clientcas=f"[{own.certificate}]"),
                started(5002, shared),
                started(5001, mirrored, "mirror.test"),
                started(443, shared, HUB),
            )
            import_busybox(daemon)
            site.push(f"{PLAIN}/library/app")
            site.push(f"{MIRROR}/library/mirrored")
            yield site
            daemon.stop()
    finally:
        daemon.remove()


def test_own_authority_and_client_certificate(site: Site) -> None:
    assert "Status: Downloaded newer image" in site.pull(f"{LOCKED}/library/app")
    site.push(f"{LOCKED}/pushed")
    assert "Status:" in site.pull(f"{LOCKED}/pushed")
    site.forget(f"{LOCKED}/library/app", f"{LOCKED}/pushed")


def test_a_registry_of_an_unknown_authority_is_refused(site: Site) -> None:
    answer = site.pull("unknown.test:5443/library/app")
    assert "tls: failed to verify certificate" in answer, answer


def test_without_the_client_certificate_it_is_refused(site: Site) -> None:
    """The same registry under a name for which certs.d has the authority alone."""
    answer = site.pull(f"{ALIAS}/library/app")
    assert "remote error: tls: bad certificate" in answer or "remote error: tls: certificate required" in answer, answer
    assert f"/etc/corten/certs.d/{ALIAS}/client.cert" in answer


def test_insecure_registries_speak_http(site: Site) -> None:
    assert "Status: Downloaded newer image" in site.pull(f"{PLAIN}/library/app")
    site.forget(f"{PLAIN}/library/app")
    answer = site.pull(f"{ADDRESS}:5002/library/app")
    assert "Status:" not in answer, "http without --insecure-registry"


def test_the_mirror_is_asked_first_and_passed_over_for_what_it_lacks(site: Site) -> None:
    assert "Status: Downloaded newer image for mirrored:latest" in site.pull("mirrored")
    assert not [line for line in site.hub.asked() if "mirrored" in line]
    assert "Status: Downloaded newer image for app:latest" in site.pull("app")
    assert next(line for line in site.mirror.asked() if "library/app/manifests" in line).endswith(" 404")
    assert [line for line in site.hub.asked() if "library/app/manifests" in line][-1].endswith(" 200")
    site.forget("mirrored", "app")


def test_a_mirror_is_never_pushed_to(site: Site) -> None:
    site.push("library/pushed")
    assert not [line for line in site.mirror.asked() if "pushed" in line]


@pytest.mark.parametrize("password", ["me:secret", "me:wrong"])
def test_a_proxy_with_a_password(site: Site, password: str) -> None:
    """https goes through by CONNECT, what NO_PROXY names goes straight."""
    with Proxy(site.daemon.namespace_pid, "me:secret").running(PROXY_PORT) as proxy:
        through = f"http://{password}@{ADDRESS}:{PROXY_PORT}"
        site.restart("--insecure-registry", PLAIN, "--http-proxy", through, "--https-proxy", through, "--no-proxy", f"other,{LOCKED}")
        answer = site.pull("app")
        if password == "me:wrong":
            assert "407" in answer, answer
            assert (proxy.asked, bool(proxy.refused)) == ([], True)
        else:
            assert "Status: Downloaded newer image for app:latest" in answer, answer
            assert proxy.asked[0] == f"CONNECT {HUB}:443"
        before = list(proxy.asked)
        assert "Status:" in site.pull(f"{LOCKED}/library/app")
        assert proxy.asked == before, "NO_PROXY names the host"
        if password == "me:secret":
            assert "Status:" in site.pull(f"{PLAIN}/library/app")
            assert [line for line in proxy.asked if line.startswith((f"GET http://{PLAIN}/v2/", f"HEAD http://{PLAIN}/v2/"))]
    site.forget("app", f"{LOCKED}/library/app", f"{PLAIN}/library/app")
    site.restart(*FLAGS)
