"""Blobs and manifests to a registry: skip what is there, mount from a neighbour, upload in one piece or in chunks.

Blobs go in PATCH chunks; 413 (a proxy's body limit) makes them smaller until they pass. An upload that breaks asks the registry how
far it came and goes on from there, in a later process too when a `Bookmark` is kept.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode, urljoin

from corten.errors import EngineError, Invalid, Unavailable
from corten.ids import Digest
from corten.registry.client import Repository
from corten.registry.transport import RETRIED, Answer, Cancelled, close_quietly, registry_error

CHUNK = 8 << 20
SMALLEST_CHUNK = 256 << 10
STALLS = 5
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")


class BlobBytes(Protocol):
    """Random access to a blob of known size: a file, or a layer rebuilt from its tar-split."""

    @property
    def size(self) -> int: ...
    def read_at(self, offset: int, limit: int) -> bytes: ...


class Bookmark(Protocol):
    """Where an upload goes on, should this process end."""

    def find(self) -> str: ...
    def note(self, location: str) -> None: ...
    def forget(self) -> None: ...


class NoBookmark:
    """For uploads that nobody goes on with."""

    def find(self) -> str:
        return ""

    def note(self, location: str) -> None: ...

    def forget(self) -> None: ...


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

    def upload(self, digest: Digest, blob: BlobBytes, bookmark: Bookmark | None = None) -> None:
        """The blob is at the registry when this returns. Raises the registry's refusal, Cancelled.

        With a bookmark it goes on where an earlier upload stopped, as far as the registry still has that, and leaves word of this one.
        """
        mark = bookmark or NoBookmark()
        sent, location = self._went(mark, blob.size)
        if sent:
            self.progress(sent)
            try:
                self._send(digest, blob, mark, sent, location)
                return
            except Invalid:  # what the registry had was not the blob's beginning
                mark.forget()
        self._send(digest, blob, mark, 0, self._begin(digest))

    def _send(self, digest: Digest, blob: BlobBytes, mark: Bookmark, sent: int, location: str) -> None:
        stalls = 0
        while sent < blob.size:
            mark.note(location)
            if self.cancelled():
                raise Cancelled
            data = blob.read_at(sent, min(self.chunk, blob.size - sent))
            answer = self._patch(location, sent, data)
            if answer is not None and answer.status in (201, 202, 204):
                close_quietly(answer)
                location = self._absolute(answer.headers.get("Location", location))
                sent += len(data)
                self.progress(len(data))
                continue
            too_large = answer is not None and answer.status == 413
            if answer is not None and not self._may_go_on(answer):
                raise registry_error(answer, f"upload of {digest}")
            if not too_large:
                self.repository.session.retry.wait(stalls, answer.headers.get("Retry-After") if answer else None)
                stalls += 1
            if stalls > STALLS:
                raise Unavailable(f"upload of {digest}: the registry breaks it off again and again", reason="registry-unreachable")
            self.chunk = max(SMALLEST_CHUNK, self.chunk // (4 if too_large else 2))
            sent, location = self._resume(digest, location)
        self._finish(digest, location)
        mark.forget()

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

    def _patch(self, location: str, start: int, data: bytes) -> Answer | None:
        """One chunk; None when the connection broke. It is never sent twice unasked: the registry may have got part of it."""
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{start}-{start + len(data) - 1}"}
        try:
            return self._ask("PATCH", location, headers, data)
        except Unavailable:
            return None

    def _may_go_on(self, answer: Answer) -> bool:
        """After a refused chunk: a smaller one, or one from where the registry says that it is."""
        passes = self.chunk > SMALLEST_CHUNK if answer.status == 413 else answer.status in RETRIED | {416}
        if passes:
            close_quietly(answer)
        return passes

    def _went(self, mark: Bookmark, size: int) -> tuple[int, str]:
        """How far the bookmarked upload came, and where it goes on; 0 when there is none that the registry still knows."""
        location = mark.find()
        if not location:
            return 0, ""
        try:
            reached, location = self._reached(location)
        except EngineError:  # the place may be gone altogether: a new upload asks the registry itself
            return 0, ""
        return (reached, location) if reached <= size else (0, "")

    def _resume(self, digest: Digest, location: str) -> tuple[int, str]:
        """How far the registry came and where to go on; from the start when it has forgotten the upload."""
        reached, location = self._reached(location)
        return (reached, location) if location else (0, self._begin(digest))

    def _reached(self, location: str) -> tuple[int, str]:
        """Bytes that the registry has of an upload, and where it goes on: "" when it does not know it any more."""
        answer = self._ask("GET", location)
        close_quietly(answer)
        if answer.status not in (200, 202, 204):
            return 0, ""
        last = _RANGE.fullmatch(answer.headers.get("Range", ""))
        reached = int(last[1]) + 1 if last and last[1] != "0" else 0  # registries say 0-0 when they have nothing
        return reached, self._absolute(answer.headers.get("Location", location))

    def _ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        return self.repository.session.request(
            method, path, scope=self.repository.scope, headers=headers, body=body, cancelled=self.cancelled
        )

    def _absolute(self, location: str) -> str:
        return urljoin(f"{self.repository.session.endpoint.url}/", location)

    def _expect(self, answer: Answer, statuses: tuple[int, ...], what: str) -> None:
        if answer.status not in statuses:
            raise registry_error(answer, what)
        close_quietly(answer)
