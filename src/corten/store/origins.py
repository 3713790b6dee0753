"""Where images and layers came from: manifests as their registries or archives had them, and the compressed forms of layers.

The compressed blobs themselves are not kept (an image must not lie on the disk twice). What is kept lets a load or pull skip a blob
that is stored unpacked already, and a push name the blob that the registry already has.
"""

import time
from dataclasses import dataclass
from typing import Final

from corten.ids import DiffId, Digest, ImageId
from corten.store.db import Database, Migration

MIGRATIONS: Final = (
    Migration(
        "origins",
        1,
        (
            """CREATE TABLE layer_blobs (
                 digest TEXT NOT NULL, diff_id TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL, repository TEXT NOT NULL,
                 seen INTEGER NOT NULL, PRIMARY KEY (digest, repository)
               ) WITHOUT ROWID""",
            "CREATE INDEX layer_blobs_by_diff_id ON layer_blobs (diff_id)",
            """CREATE TABLE manifests (
                 digest TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, media_type TEXT NOT NULL,
                 raw BLOB NOT NULL
               ) WITHOUT ROWID""",
            "CREATE INDEX manifests_by_image ON manifests (image)",
        ),
    ),
    Migration(
        "origins",
        2,
        (
            """CREATE TABLE attachments (
                 digest TEXT NOT NULL, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, media_type TEXT NOT NULL,
                 raw BLOB NOT NULL, PRIMARY KEY (image, digest)
               ) WITHOUT ROWID""",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A compressed form of a layer. `repository` is the full name under which a registry has it; "" = seen in an archive only."""

    digest: Digest
    diff_id: DiffId
    size: int
    media_type: str
    repository: str


@dataclass(frozen=True, slots=True)
class StoredManifest:
    digest: Digest
    image: ImageId
    media_type: str
    raw: bytes


class Origins:
    """Every method takes microseconds; writes join a surrounding `db.transaction()`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_blob(self, blob: LayerBlob) -> None:
        row = (blob.digest, blob.diff_id, blob.size, blob.media_type, blob.repository, time.time_ns())
        self._db.execute("INSERT OR REPLACE INTO layer_blobs VALUES (?, ?, ?, ?, ?, ?)", row)

    def layer_of(self, digest: Digest) -> DiffId | None:
        """The layer that the blob `digest` unpacks to, if it was ever unpacked here. The layer may be gone again."""
        row = self._db.query_one("SELECT diff_id FROM layer_blobs WHERE digest = ?", (digest,))
        return DiffId(row[0]) if row else None

    def blobs_of(self, diff_id: DiffId) -> list[LayerBlob]:
        """Known forms of the layer, the latest seen first."""
        rows = self._db.query(
            "SELECT digest, diff_id, size, media_type, repository FROM layer_blobs WHERE diff_id = ? ORDER BY seen DESC", (diff_id,)
        )
        return [LayerBlob(*row) for row in rows]

    def add_manifest(self, manifest: StoredManifest) -> None:
        row = (manifest.digest, manifest.image, manifest.media_type, manifest.raw)
        self._db.execute("INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?)", row)

    def find_manifest(self, digest: Digest) -> StoredManifest | None:
        row = self._db.query_one("SELECT digest, image, media_type, raw FROM manifests WHERE digest = ?", (digest,))
        return StoredManifest(*row) if row else None

    def manifests_of(self, image: ImageId) -> list[StoredManifest]:
        rows = self._db.query("SELECT digest, image, media_type, raw FROM manifests WHERE image = ?", (image,))
        return [StoredManifest(*row) for row in rows]

    def add_attachment(self, attached: StoredManifest) -> None:
        """Something small that belongs to an image and is no image: an attestation's manifest, its config, its statements.

        An image that was removed meanwhile keeps nothing.
        """
        row = (attached.digest, attached.media_type, attached.raw, attached.image)
        self._db.execute("INSERT OR REPLACE INTO attachments SELECT ?, id, ?, ? FROM images WHERE id = ?", row)

    def replace_attachment(self, attached: StoredManifest, *media_types: str) -> None:
        """`add_attachment`, in place of what is there of that media type and of `media_types`."""
        for media_type in (attached.media_type, *media_types):
            self._db.execute("DELETE FROM attachments WHERE image = ? AND media_type = ?", (attached.image, media_type))
        self.add_attachment(attached)

    def attachments_of(self, image: ImageId) -> dict[Digest, StoredManifest]:
        rows = self._db.query("SELECT digest, image, media_type, raw FROM attachments WHERE image = ?", (image,))
        return {row[0]: StoredManifest(*row) for row in rows}

    def attachment_sizes(self, image: ImageId) -> dict[Digest, tuple[str, int]]:
        """Media type and bytes of each, without reading them."""
        rows = self._db.query("SELECT digest, media_type, length(raw) FROM attachments WHERE image = ?", (image,))
        return {row[0]: (row[1], row[2]) for row in rows}
