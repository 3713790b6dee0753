"""Image records: the config's bytes, the names that point at it, and look-up by name, digest or id prefix.

    images        one row per image id; `layers` holds its diff ids, bottom first, as JSON
    image_names   full reference -> image id: `docker.io/library/python:3.12` (a tag) or `…@sha256:…` (a repo digest)

Layers themselves are `corten.store.layers`' business; a row here keeps its layers from being collected.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from corten.errors import Invalid, NotFound
from corten.ids import DiffId, ImageId
from corten.oci.digest import parse_digest, sha256_digest
from corten.oci.image import ImageConfig, parse_image_config, read_image_config
from corten.oci.reference import Reference, parse_reference
from corten.store.db import Database, Migration, Row

MIGRATIONS: Final = (
    Migration(
        "images",
        1,
        (
            """CREATE TABLE images (
                 id TEXT PRIMARY KEY, config BLOB NOT NULL, layers TEXT NOT NULL, parent TEXT NOT NULL, added INTEGER NOT NULL
               ) WITHOUT ROWID""",
            """CREATE TABLE image_names (
                 name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id), tagged INTEGER NOT NULL
               ) WITHOUT ROWID""",
            "CREATE INDEX image_names_by_image ON image_names (image)",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Image:
    """An image as stored. Names are full references, sorted; times are ns since the epoch, `last_tagged` 0 = never.

    `size` is what its layers hold unpacked, in bytes, each layer counted once per use as Docker counts. `parent` is the image it was
    built from ("" = none known). `config.run` is what containers start from.
    """

    id: ImageId
    config: ImageConfig
    raw: bytes
    layers: tuple[DiffId, ...]
    names: tuple[str, ...]
    size: int
    parent: str
    added: int
    last_tagged: int

    @property
    def tags(self) -> tuple[Reference, ...]:
        return tuple(parse_reference(name) for name in self.names if "@" not in name)

    @property
    def digests(self) -> tuple[Reference, ...]:
        return tuple(parse_reference(name) for name in self.names if "@" in name)

    @property
    def repo_tags(self) -> tuple[str, ...]:
        """As people write them: `python:3.12`."""
        return tuple(reference.familiar for reference in self.tags)

    @property
    def repo_digests(self) -> tuple[str, ...]:
        return tuple(reference.familiar for reference in self.digests)


_SELECT = """
SELECT i.id, i.config, i.layers, i.parent, i.added,
       (SELECT coalesce(sum(l.size), 0) FROM json_each(i.layers) j JOIN layers l ON l.diff_id = j.value),
       (SELECT json_group_array(json_array(n.name, n.tagged)) FROM image_names n WHERE n.image = i.id)
  FROM images i
"""


class Images:
    """Every method takes microseconds, `all` some per image. Writes are atomic and join a surrounding `db.transaction()`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: str) -> Image:
        """The image that a user means by `name`: a tag, `name@digest`, an id or its unique beginning, with or without `sha256:`.

        Raises NotFound with Docker's text ("No such image: python:3.12"), Invalid for what is no reference and no id.
        """
        found = self.find(name)
        if found is None:
            raise NotFound(f"No such image: {_as_docker_names_it(name)}", reason="no-such-image")
        return found

    def find(self, name: str) -> Image | None:
        image_id = self.find_id(name)
        return None if image_id is None else self.by_id(image_id)

    def find_id(self, name: str) -> ImageId | None:
        """`get` without reading the image. Raises Invalid for what is no reference and no id."""
        if _is_whole_id(name):
            return self._by_prefix(name.removeprefix("sha256:"))
        reference = parse_reference(name).with_default_tag()
        key = reference.with_digest(reference.digest) if reference.digest else reference
        row = self._db.query_one("SELECT image FROM image_names WHERE name = ?", (str(key),))
        return ImageId(row[0]) if row else self._by_prefix(name.removeprefix("sha256:"))

    def find_whole(self, image_id: str) -> ImageId | None:
        """`image_id` if it is the full id of a stored image."""
        row = self._db.query_one("SELECT id FROM images WHERE id = ?", (image_id,))
        return ImageId(row[0]) if row else None

    def by_id(self, image_id: ImageId) -> Image | None:
        row = self._db.query_one(f"{_SELECT} WHERE i.id = ?", (image_id,))
        return _image(row) if row else None

    def all(self) -> list[Image]:
        return [_image(row) for row in self._db.query(_SELECT)]

    def add(self, raw: bytes, *, parent: str = "") -> ImageId:
        """Record the image whose config's bytes are `raw`; its layers must be there already. Adding it again changes nothing.

        Raises Invalid for a bad config, NotFound for a missing layer.
        """
        config = parse_image_config(raw)
        image_id = ImageId(sha256_digest(raw))
        with self._db.transaction() as tx:
            for diff_id in config.layers:
                if tx.execute("SELECT 1 FROM layers WHERE diff_id = ?", (diff_id,)).fetchone() is None:
                    raise NotFound(f"layer {diff_id} of image {image_id} is not stored", reason="no-layer")
            row = (image_id, raw, json.dumps(config.layers), parent, time.time_ns())
            tx.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
        return image_id

    def tag(self, reference: Reference, image_id: ImageId) -> ImageId | None:
        """Point `reference` (a tag or a digest) at the image; the image it pointed at before, if another one."""
        name = str(reference.with_default_tag())
        with self._db.transaction() as tx:
            before = tx.execute("SELECT image FROM image_names WHERE name = ?", (name,)).fetchone()
            tx.execute("INSERT OR REPLACE INTO image_names VALUES (?, ?, ?)", (name, image_id, time.time_ns()))
        return ImageId(before[0]) if before and before[0] != image_id else None

    def untag(self, names: Sequence[str]) -> None:
        """Forget names, given as full references; unknown ones are fine."""
        with self._db.transaction() as tx:
            tx.executemany("DELETE FROM image_names WHERE name = ?", [(name,) for name in names])

    def remove(self, image_id: ImageId) -> None:
        """Forget the image and its names. Its layers stay until they are collected."""
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM image_names WHERE image = ?", (image_id,))
            tx.execute("DELETE FROM images WHERE id = ?", (image_id,))

    def children(self, image_id: ImageId) -> list[ImageId]:
        return [ImageId(row[0]) for row in self._db.query("SELECT id FROM images WHERE parent = ?", (image_id,))]

    def _by_prefix(self, prefix: str) -> ImageId | None:
        if not prefix or prefix.strip("0123456789abcdef"):
            return None
        rows = self._db.query("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2", (f"sha256:{prefix}", f"sha256:{prefix}g"))
        return ImageId(rows[0][0]) if len(rows) == 1 else None


@lru_cache(maxsize=128)
def _image(row: Row) -> Image:
    """Kept by everything that is stored of it: lists of all images are asked for often, and change seldom."""
    image_id, raw, layers, parent, added, size, names = row
    named = json.loads(names)
    return Image(
        id=image_id,
        config=read_image_config(raw),
        raw=raw,
        layers=tuple(json.loads(layers)),
        names=tuple(sorted(name for name, _ in named)),
        size=size,
        parent=parent,
        added=added,
        last_tagged=max((tagged for _, tagged in named), default=0),
    )


def _is_whole_id(name: str) -> bool:
    try:
        parse_digest(name if ":" in name else f"sha256:{name}")
    except Invalid:
        return False
    return True


def _as_docker_names_it(name: str) -> str:
    if _is_whole_id(name):
        return name if ":" in name else f"sha256:{name}"
    return parse_reference(name).with_default_tag().familiar
