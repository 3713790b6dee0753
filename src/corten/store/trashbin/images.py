"""Images in the trash: their rows as JSON. Nothing moves on the disk: the entry keeps the layers, as an image's row would.

An entry may hold several images: one that users saw, and parents that went with it.
"""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from corten.errors import Conflict, NotFound
from corten.ids import DiffId, Digest, ImageId, short_id
from corten.oci.reference import Reference, parse_reference
from corten.store.db import Database
from corten.store.images import Image, Images
from corten.store.layers import Layer, Layers
from corten.store.origins import Origins, StoredManifest
from corten.store.trashbin.bin import Bin, Entry

KIND: Final = "image"
_KEEPER: Final = "trash:"
_UNNEEDED: Final = f"""
SELECT diff_id FROM layers
EXCEPT SELECT j.value FROM images i, json_each(i.layers) j EXCEPT SELECT j.value FROM snapshots s, json_each(s.layers) j
EXCEPT SELECT diff_id FROM keeps WHERE keeper NOT LIKE '{_KEEPER}%'
"""


class ImageBin:
    """All methods are rows only. They are called inside a transaction of the caller, or make their own."""

    def __init__(self, bin: Bin, images: Images, layers: Layers, origins: Origins) -> None:
        self._bin = bin
        self._images = images
        self._layers = layers
        self._origins = origins

    @property
    def _db(self) -> Database:
        return self._bin.db

    def unneeded(self) -> list[Layer]:
        """Layers that nothing but the trash holds."""
        held = self._layers.leases.held()
        return [self._layers.get(DiffId(row[0])) for row in self._db.query(_UNNEEDED) if row[0] not in held]

    def note_lost(self, image_id: ImageId, names: Mapping[str, int]) -> None:
        """Names that were taken from an image which stays: should it follow into the trash in time, they come back with it."""
        now = time.time_ns()
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM lost_names WHERE lost < ?", (now - self._bin.keep,))
            rows = [(image_id, name, tagged, now) for name, tagged in names.items()]
            tx.executemany("INSERT OR REPLACE INTO lost_names VALUES (?, ?, ?, ?)", rows)

    def take_lost(self, image_id: ImageId) -> dict[str, int]:
        """The names that an image has lost not long ago; they are forgotten."""
        since = time.time_ns() - self._bin.keep
        rows = self._db.query("SELECT name, tagged FROM lost_names WHERE image = ? AND lost >= ?", (image_id, since))
        self._db.execute("DELETE FROM lost_names WHERE image = ?", (image_id,))
        return dict(rows)

    def record(self, image: Image, names: Mapping[str, int], lost: Mapping[str, int] | None = None) -> dict[str, Any]:
        """What is to be kept of an image that is still there. `names` are full references and when they were given; `lost` those that it
        had lost before, which come back where they are free."""
        manifests = [[m.digest, m.media_type, _text(m.raw)] for m in self._origins.manifests_of(image.id)]
        attachments = [[a.digest, a.media_type, _text(a.raw)] for a in self._origins.attachments_of(image.id).values()]
        return {
            "id": image.id,
            "config": _text(image.raw),
            "parent": image.parent,
            "added": image.added,
            "layers": list(image.layers),
            "names": dict(names),
            "lost": {name: tagged for name, tagged in (lost or {}).items() if name not in names},
            "manifests": manifests,
            "attachments": attachments,
        }

    def names_of(self, image_id: ImageId) -> dict[str, int]:
        """Full references of an image, and when they were given."""
        return dict(self._db.query("SELECT name, tagged FROM image_names WHERE image = ?", (image_id,)))

    def put(self, records: Sequence[dict[str, Any]], size: int) -> Entry:
        """An entry for images whose rows are gone; their layers are kept. `size`: what would be free without it."""
        first = records[0]
        tags = sorted(_familiar(name) for name in (*first["names"], *first["lost"]) if "@" not in name)
        shown = tags[0] if tags else short_id(first["id"])
        with self._db.transaction() as tx:
            entry = self._bin.add(KIND, shown, size=size, body={"images": list(records), "tags": tags})
            layers = dict.fromkeys(diff_id for record in records for diff_id in record["layers"])
            tx.executemany("INSERT OR REPLACE INTO keeps VALUES (?, ?)", [(f"{_KEEPER}{entry.id}:{n}", d) for n, d in enumerate(layers)])
        return entry

    def restore(self, entry: Entry, tag: Reference | None = None) -> list[ImageId]:
        """Images, tags and all, as they were; with `tag` the first image gets that name in place of its old ones.

        Raises Conflict when a name means another image now, NotFound when a layer did not survive; nothing is changed then.
        """
        records = list(entry.body["images"])
        if tag is not None:
            records[0] = {**records[0], "names": {str(tag): records[0]["added"]}, "lost": {}}
        with self._db.transaction():
            self._check(entry, records)
            # Parents first: a child's row may name them.
            restored = [self._put_back(record) for record in reversed(records)]
            self._forget(entry)
        return restored[::-1]

    def purge(self, entry: Entry) -> None:
        """Gone for good. Its layers go with the next collection, unless something else needs them."""
        with self._db.transaction():
            self._forget(entry)

    def _check(self, entry: Entry, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            for diff_id in record["layers"]:
                if self._layers.find(diff_id) is None:
                    raise NotFound(f"layer {diff_id} of image {short_id(record['id'])} is no longer there", reason="no-layer")
            for name in record["names"]:
                row = self._db.query_one("SELECT image FROM image_names WHERE name = ?", (name,))
                if row and row[0] != record["id"]:
                    raise Conflict(
                        f"the name {_familiar(name)} means another image now ({short_id(row[0])})",
                        reason="name-in-use",
                        hint=f"restore it under another name: corten trash restore {entry.id} NAME[:TAG]",
                    )

    def _put_back(self, record: Mapping[str, Any]) -> ImageId:
        image_id = self._images.add(base64.b64decode(record["config"]), parent=record["parent"])
        with self._db.transaction() as tx:
            tx.execute("UPDATE images SET added = ? WHERE id = ?", (record["added"], image_id))
            for verb, names in (("REPLACE", record["names"]), ("IGNORE", record.get("lost", {}))):
                rows = [(name, image_id, tagged) for name, tagged in names.items()]
                tx.executemany(f"INSERT OR {verb} INTO image_names VALUES (?, ?, ?)", rows)
            for digest, media_type, raw in record["manifests"]:
                self._origins.add_manifest(StoredManifest(Digest(digest), image_id, media_type, base64.b64decode(raw)))
            for digest, media_type, raw in record.get("attachments", ()):
                self._origins.add_attachment(StoredManifest(Digest(digest), image_id, media_type, base64.b64decode(raw)))
        return image_id

    def _forget(self, entry: Entry) -> None:
        self._db.execute("DELETE FROM keeps WHERE keeper LIKE ?", (f"{_KEEPER}{entry.id}:%",))
        self._bin.drop_row(entry.id)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _familiar(name: str) -> str:
    return parse_reference(name).familiar
