"""The registry client against a registry that misbehaves on demand, on loopback."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from urllib3 import HTTPHeaderDict, HTTPResponse

from corten.errors import EngineError, Invalid, NotFound, Unauthenticated, Unavailable
from corten.ids import Digest
from corten.registry.auth import Authenticator, Credentials
from corten.registry.client import Repository, Session
from corten.registry.download import Fetcher, Wanted
from corten.registry.endpoint import Endpoint
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import Partial
from corten.registry.proxies import ProxySettings
from corten.registry.retry import RetryPolicy
from corten.registry.transport import Transport
from corten.registry.upload import Uploader
from tests.support.faulty_registry import Faults, Registry, running_registry

FAST = RetryPolicy(attempts=4, first=0.01, longest=0.05, silence=2)
SETTINGS = RegistrySettings(certs_d=(), retry=FAST)
BLOB = os.urandom(5 << 20) + b"tail"


def repository(registry: Registry, credentials: Credentials | None = None, *, push: bool = False) -> Repository:
    session = Session(registry.host, SETTINGS, credentials, push=push)
    registry.at_end.append(session.close)
    return Repository(session, "x", push=push)


def fetch(registry: Registry, folder: Path, digest: str, size: int, **more: Callable[[], bool]) -> Partial:
    partial = Partial(folder, Digest(digest), size)
    fetcher = Fetcher(repository(registry), [Wanted(partial)], connections=3, **more)
    fetcher.start()
    fetcher.wait()
    return partial


def whole(partial: Partial) -> bytes:
    found = b""
    while chunk := partial.read_at(len(found), 1 << 20):
        found += chunk
    return found


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(ignore_range=True),
        Faults(status_first=[503, 500]),
        Faults(status_first=[429], retry_after="0"),
        Faults(truncate_after=2_000_000),
        Faults(token_realm=""),
    ],
    ids=["plain", "no ranges", "5xx", "429", "truncated", "open"],
)
def test_a_blob_arrives_whole(faults: Faults, tmp_path: Path) -> None:
    with running_registry(faults) as registry:
        digest = registry.add_blob(BLOB)
        partial = fetch(registry, tmp_path, digest, len(BLOB))
        assert hashlib.sha256(whole(partial)).hexdigest() == digest[7:]
        partial.discard()


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    with running_registry() as registry:
        digest = registry.add_blob(BLOB)
        first = Partial(tmp_path, Digest(digest), len(BLOB))
        first.write(0, BLOB[: 4 << 20])
        first.close()
        fetch(registry, tmp_path, digest, len(BLOB)).discard()
        ranges = [headers["Range"] for method, path, headers in registry.seen if "blobs" in path]
    assert ranges == [f"bytes={4 << 20}-{len(BLOB) - 1}"]


def test_a_registry_that_never_completes_ends_in_an_error(tmp_path: Path) -> None:
    with running_registry(Faults(truncate_after=0)) as registry:
        digest = registry.add_blob(BLOB)
        with pytest.raises(Unavailable, match="ends the transfer early"):
            fetch(registry, tmp_path, digest, len(BLOB))


def test_more_bytes_than_promised_are_refused(tmp_path: Path) -> None:
    with running_registry(Faults(ignore_range=True)) as registry:
        digest = registry.add_blob(BLOB)
        with pytest.raises(Invalid, match="more than"):
            fetch(registry, tmp_path, digest, len(BLOB) - 5)


def test_a_redirect_to_another_host_carries_no_credentials(tmp_path: Path) -> None:
    with running_registry() as storage, running_registry(Faults(password="u:p")) as registry:
        digest = registry.add_blob(BLOB)
        storage.add_blob(BLOB)
        registry.faults.redirect_blobs_to = storage.url
        partial = Partial(tmp_path, Digest(digest), len(BLOB))
        fetcher = Fetcher(repository(registry, Credentials("u", "p")), [Wanted(partial)])
        fetcher.start()
        fetcher.wait()
        assert any("Authorization" in h for _, _, h in registry.seen)
        assert storage.seen
        assert not any("Authorization" in h for _, _, h in storage.seen)
        partial.discard()


def test_requests_go_through_the_proxy_with_its_own_credentials() -> None:
    """The proxy here answers itself: it is asked for the whole URL."""
    with running_registry() as proxy:
        proxy.add_manifest("latest", b'{"schemaVersion": 2}')
        proxies = ProxySettings(http=f"http://me:secret@{proxy.host}")
        settings = RegistrySettings(insecure=("registry.invalid",), certs_d=(), proxies=proxies, retry=FAST)
        with Session("registry.invalid", settings, Credentials("u", "p")) as session:
            Repository(session, "x").manifest("latest")
        method, path, headers = proxy.seen[-1]
    assert (method, path) == ("GET", "http://registry.invalid/v2/x/manifests/latest")
    assert headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


def test_a_mirror_that_lost_a_blob_is_passed_over(tmp_path: Path) -> None:
    with running_registry() as mirror, running_registry() as upstream:
        digest = upstream.add_blob(BLOB)
        for registry in (mirror, upstream):
            registry.add_manifest("latest", b'{"schemaVersion": 2}')
        folder = tmp_path / "certs" / "name.invalid"
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(f'server = "{upstream.url}"\n[host."{mirror.url}"]\ncapabilities = ["pull", "resolve"]\n')
        with Session("name.invalid", RegistrySettings(certs_d=(tmp_path / "certs",), retry=FAST)) as session:
            there = Repository(session, "x")
            there.manifest("latest")
            partial = Partial(tmp_path / "partials", Digest(digest), len(BLOB))
            fetcher = Fetcher(there, [Wanted(partial)])
            fetcher.start()
            fetcher.wait()
            assert hashlib.sha256(whole(partial)).hexdigest() == digest[7:]
            partial.discard()
        assert [path for path in mirror.paths("GET") if "manifests" in path]
        assert not [path for path in upstream.paths("GET") if "manifests" in path]


def test_retry_after_may_be_a_date() -> None:
    waits: list[float] = []
    policy = RetryPolicy(longest=1000, sleep=waits.append)
    policy.wait(0, format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    policy.wait(0, "7")
    policy.wait(3, "soon")
    assert 90 < waits[0] <= 100
    assert waits[1] == 7
    assert 1 < waits[2] < 3


def test_login_brings_an_identity_token_where_the_registry_gives_one() -> None:
    with running_registry() as registry:
        registry.faults.token_realm = f"{registry.url}/token"
        with Session(registry.host, SETTINGS, Credentials("u", "p"), login=True) as session:
            assert session.login() == "refresh"
        (asked,) = [path for path in registry.paths("GET") if path.startswith("/token")]
        assert "offline_token=true" in asked
        with Session(registry.host, SETTINGS, Credentials(identity_token="refresh")) as session:
            session.login()
        assert registry.paths("POST") == ["/token"]


def test_login_with_a_wrong_password() -> None:
    with running_registry(Faults(password="u:good")) as registry:
        with Session(registry.host, SETTINGS, Credentials("u", "good"), login=True) as session:
            assert session.login() == ""
        refused = pytest.raises(Unauthenticated, match=r"login attempt to http://.*/v2/ failed with status: 401 Unauthorized")
        with Session(registry.host, SETTINGS, Credentials("u", "bad"), login=True) as session, refused:
            session.login()


def test_a_redirected_manifest_is_asked_for_without_credentials() -> None:
    with running_registry() as elsewhere, running_registry(Faults(password="u:p", redirect_manifests_to="")) as registry:
        elsewhere.add_manifest("latest", b'{"schemaVersion": 2}')
        registry.faults.redirect_manifests_to = elsewhere.url
        assert repository(registry, Credentials("u", "p")).manifest("latest").raw == b'{"schemaVersion": 2}'
        assert elsewhere.seen
        assert not any("Authorization" in headers for _, _, headers in elsewhere.seen)


def test_endless_redirects_end() -> None:
    with running_registry() as registry:
        registry.faults.redirect_manifests_to = registry.url
        with pytest.raises(Unavailable, match="too many redirects"):
            repository(registry).manifest("latest")


def test_a_registry_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    silent = RegistrySettings(certs_d=(), retry=RetryPolicy(attempts=2, first=0.01, longest=0.05, silence=0.1))
    with running_registry(Faults(stall_after=1 << 20)) as registry, Session(registry.host, silent) as session:
        digest = registry.add_blob(BLOB)
        partial = Partial(tmp_path, Digest(digest), len(BLOB))
        registry.faults.stall_after = 0
        fetcher = Fetcher(Repository(session, "x"), [Wanted(partial)], connections=1)
        fetcher.start()
        with pytest.raises(Unavailable, match="ends the transfer early"):
            fetcher.wait()
        partial.discard()


def test_a_registry_that_always_limits_is_an_error_with_a_hint() -> None:
    with running_registry(Faults(status_first=[429] * 50, retry_after="0")) as registry, pytest.raises(Unavailable) as caught:
        repository(registry).manifest("latest")
    assert caught.value.message.startswith("toomanyrequests: ")
    assert caught.value.hint == "the registry limits requests: log in, wait, or use a mirror"
    assert len(registry.seen) == FAST.attempts


def test_a_password_is_not_sent_to_a_realm_without_tls() -> None:
    """A registry with TLS names a token server without."""
    authenticator = Authenticator(Transport(Endpoint("https://registry.invalid")), Credentials("u", "p"))
    challenge = HTTPHeaderDict({"WWW-Authenticate": 'Bearer realm="http://token.invalid/token",service="s"'})
    with pytest.raises(Unauthenticated, match="over plain http"):
        authenticator.answer(HTTPResponse(b"", challenge, 401), "repository:x:pull")


def test_an_upload_goes_on_where_its_connection_was_reset() -> None:
    with running_registry(Faults(reset_uploads=3)) as registry:
        digest = Digest(f"sha256:{hashlib.sha256(BLOB).hexdigest()}")
        Uploader(repository(registry, push=True), chunk=1 << 20).upload(digest, Bytes(BLOB))
        assert registry.blobs[digest] == BLOB
        assert len([path for path in registry.paths("POST") if "uploads" in path]) == 1


def test_bearer_token_is_fetched_once(tmp_path: Path) -> None:
    with running_registry() as registry:
        registry.faults.token_realm = f"{registry.url}/token"
        registry.add_manifest("latest", b'{"schemaVersion": 2}')
        r = repository(registry)
        assert r.manifest("latest").raw == b'{"schemaVersion": 2}'
        r.manifest("latest")
        assert len([p for p in registry.paths("GET") if p.startswith("/token")]) == 1


def test_endless_401_is_no_loop() -> None:
    with running_registry(Faults(always_401=True)) as registry:
        with pytest.raises((NotFound, Unauthenticated), match=r"denied|unauthorized"):
            repository(registry).manifest("latest")
        assert len(registry.seen) <= 6


def refused_manifest(faults: Faults, name: str = "latest") -> EngineError:
    with running_registry(faults) as registry:
        digest = registry.add_manifest("latest", b'{"schemaVersion": 2}')
        with pytest.raises(EngineError) as caught:
            repository(registry).manifest(digest if name == "by digest" else name)
    return caught.value


def test_bad_manifests_are_refused() -> None:
    assert isinstance(refused_manifest(Faults(lie_about_manifest=True)), Invalid)
    assert isinstance(refused_manifest(Faults(lie_about_manifest=True), "by digest"), Invalid)
    assert "larger than" in refused_manifest(Faults(endless_manifest=True)).message


def test_an_unknown_manifest_in_dockers_words() -> None:
    error = refused_manifest(Faults(), "nope")
    assert isinstance(error, NotFound)
    assert error.message == "manifest for x:nope not found: manifest unknown: manifest unknown"


def test_nobody_there_is_said_at_once() -> None:
    session = Session("127.0.0.1:1", SETTINGS)
    with pytest.raises(Unavailable, match="connection refused"):
        Repository(session, "x").manifest("latest")


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read_at(self, offset: int, limit: int) -> bytes:
        return self.data[offset : offset + limit]


@pytest.mark.parametrize("faults", [Faults(), Faults(largest_body=1 << 20), Faults(status_first=[502])], ids=["plain", "413", "502"])
def test_a_blob_is_uploaded(faults: Faults) -> None:
    with running_registry(faults) as registry:
        digest = Digest(f"sha256:{hashlib.sha256(BLOB).hexdigest()}")
        uploader = Uploader(repository(registry, push=True))
        assert not uploader.has(digest)
        uploader.upload(digest, Bytes(BLOB))
        assert registry.blobs[digest] == BLOB
        assert uploader.has(digest)
        assert uploader.mount(digest, "y")
        assert not uploader.mount(Digest("sha256:" + "0" * 64), "y")


def test_a_body_limit_that_cannot_be_met_is_an_error() -> None:
    with running_registry(Faults(largest_body=10)) as registry, pytest.raises(Invalid, match="size invalid"):
        Uploader(repository(registry, push=True)).upload(Digest("sha256:" + "0" * 64), Bytes(BLOB))
