"""The registry client against a registry that misbehaves on demand, on loopback."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from corten.errors import EngineError, Invalid, NotFound, Unauthenticated, Unavailable
from corten.ids import Digest
from corten.registry.auth import Credentials
from corten.registry.client import Repository, Session
from corten.registry.download import Fetcher, Wanted
from corten.registry.hosts import RegistrySettings
from corten.registry.partial import Partial
from corten.registry.transport import RetryPolicy
from corten.registry.upload import Uploader
from tests.support.faulty_registry import Faults, Registry, running_registry

FAST = RetryPolicy(attempts=4, first=0.01, longest=0.05)
BLOB = os.urandom(5 << 20) + b"tail"


def repository(registry: Registry, credentials: Credentials | None = None, *, push: bool = False) -> Repository:
    session = Session(registry.host, RegistrySettings(certs_d=()), credentials, push=push, retry=FAST)
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
    session = Session("127.0.0.1:1", RegistrySettings(certs_d=()), retry=FAST)
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
