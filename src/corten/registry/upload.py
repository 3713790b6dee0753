"""Blobs and manifests to a registry: skip what is there, mount from a neighbour, upload in one piece or in chunks.

A monolithic PUT is tried first; 413 (a proxy's body limit) makes us send PATCH chunks that halve until they pass. An upload that
breaks asks the registry how far it came and goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urljoin

from corten.errors import EngineError, Unavailable
from corten.ids import Digest
from corten.registry.client import Repository
from corten.registry.transport import Answer, Cancelled, close_quietly, registry_error

CHUNK = 16 << 20
SMALLEST_CHUNK = 256 << 10
STALLS = 5


class BlobBytes(Protocol):
    """Random access to a blob of known size: a file, or a layer rebuilt from its tar-split."""

    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, limit: int) -> bytes: ...


@dataclass(slots=True)
class Uploader:
    """Uploads to one repository. `chunk` shrinks when the registry refuses large bodies. Thread-compatible: one per thread."""

    repository: Repository
    cancelled: Callable[[], bool] = lambda: False
    chunk: int = CHUNK
    progress: Callable[[int], None] = field(default=lambda count: None)

    def has(self, digest: Digest) -> bool:
        answer = self._ask("HEAD", f"/v2/{self.repository.name}/blobs/{digest}")
        close_quietly(answer)
        return answer.status == 200

    def mount(self, digest: Digest, source: str) -> bool:
        """Cross-repository mount: True when the registry linked the blob of repository `source` into ours."""
        answer = self._ask("POST", f"/v2/{self.repository.name}/blobs/uploads/?{urlencode({'mount': digest, 'from': source})}")
        location = answer.headers.get("Location", "")
        close_quietly(answer)
        if answer.status == 202 and location:  # not linked: the registry opened an upload instead, which we drop
            close_quietly(self._ask("DELETE", self._absolute(location)))
        return answer.status == 201

    def upload(self, digest: Digest, blob: BlobBytes) -> None:
        """The blob is at the registry when this returns. Raises the registry's refusal."""
        sent, stalls, location = 0, 0, self._begin(digest)
        while sent < blob.size:
            if self.cancelled():
                raise Cancelled
            data = blob.read_at(sent, min(self.chunk, blob.size - sent))
            headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{sent}-{sent + len(data) - 1}"}
            try:
                answer = self._ask("PATCH", location, headers, data)
            except Unavailable:
                stalls += 1
                if stalls > STALLS:
                    raise
                sent, location = self._resume(location)
                continue
            if answer.status == 413 and self.chunk > SMALLEST_CHUNK:
                close_quietly(answer)
                self.chunk //= 4
                location = self._begin(digest)
                sent = 0
                continue
            if answer.status == 416 and stalls <= STALLS:
                close_quietly(answer)
                stalls += 1
                sent, location = self._resume(location)
                continue
            self._expect(answer, (202, 201, 204), f"upload of {digest}")
            location = self._absolute(answer.headers.get("Location", location))
            sent += len(data)
            self.progress(len(data))
        self._finish(digest, location)

    def put_manifest(self, reference: str, media_type: str, raw: bytes) -> None:
        """Stores a manifest or index under a tag or its digest."""
        answer = self._ask("PUT", f"/v2/{self.repository.name}/manifests/{reference}", {"Content-Type": media_type}, raw)
        self._expect(answer, (201, 202, 204), f"manifest {self.repository.familiar}:{reference}")

    def _begin(self, digest: Digest) -> str:
        answer = self._ask("POST", f"/v2/{self.repository.name}/blobs/uploads/")
        self._expect(answer, (202,), f"upload of {digest}")
        return self._absolute(answer.headers["Location"])

    def _finish(self, digest: Digest, location: str) -> None:
        separator = "&" if "?" in location else "?"
        answer = self._ask("PUT", f"{location}{separator}{urlencode({'digest': digest})}", {"Content-Length": "0"}, b"")
        self._expect(answer, (201, 204), f"upload of {digest}")

    def _resume(self, location: str) -> tuple[int, str]:
        answer = self._ask("GET", location)
        self._expect(answer, (204, 202, 200), "upload status")
        reached = answer.headers.get("Range", "0--1").rpartition("-")[2]
        return int(reached) + 1 if reached.isdecimal() else 0, self._absolute(answer.headers.get("Location", location))

    def _ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        return self.repository.session.request(
            method, path, scope=self.repository.scope, headers=headers, body=body, cancelled=self.cancelled
        )

    def _absolute(self, location: str) -> str:
        return urljoin(f"{self.repository.session.endpoint.url}/", location)

    def _expect(self, answer: Answer, statuses: tuple[int, ...], what: str) -> None:
        if answer.status not in statuses:
            raise _refused(answer, what)
        close_quietly(answer)


def _refused(answer: Answer, what: str) -> EngineError:
    return registry_error(answer, what)
