"""What no clean-up and no removal may take: by a label that any object may have, or by `corten volume protect`."""

from collections.abc import Mapping
from typing import Final

from corten.errors import Conflict
from corten.store.db import Database, Migration

LABEL: Final = "corten.protected"
HINT: Final = "remove it with --force-protected of the corten CLI"
MIGRATIONS: Final = (
    Migration(
        "protection",
        1,
        ("CREATE TABLE protection (volume TEXT PRIMARY KEY, protected INTEGER NOT NULL) WITHOUT ROWID",),
    ),
)
_NOT: Final = frozenset(("0", "false", "no", "off"))


def is_protecting(labels: Mapping[str, str]) -> bool:
    """Whether `labels` protect their object: the label is there and does not say no."""
    value = labels.get(LABEL)
    return value is not None and value.strip().lower() not in _NOT


def check_container(name: str, labels: Mapping[str, str], image_labels: Mapping[str, str]) -> None:
    """Raises Conflict for a protected container."""
    if is_protected_container(labels, image_labels):
        raise _refusal(f"container {name}")


def is_protected_container(labels: Mapping[str, str], image_labels: Mapping[str, str]) -> bool:
    """A label that comes from the image, which one of the same value is taken to do, protects the image, not what is made from it."""
    return is_protecting(labels) and labels[LABEL] != image_labels.get(LABEL)


def check_labels(what: str, labels: Mapping[str, str]) -> None:
    """Raises Conflict when `labels` protect `what`."""
    if is_protecting(labels):
        raise _refusal(what)


class Protection:
    """Of volumes, whose labels cannot change: what `protect` and `unprotect` said outweighs the label."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def covers(self, name: str, labels: Mapping[str, str]) -> bool:
        row = self._db.query_one("SELECT protected FROM protection WHERE volume = ?", (name,))
        return bool(row[0]) if row else is_protecting(labels)

    def check(self, name: str, labels: Mapping[str, str]) -> None:
        """Raises Conflict when the volume is protected."""
        if self.covers(name, labels):
            raise Conflict(
                f"remove {name}: volume is protected",
                reason="protected",
                hint=f"corten volume unprotect {name}, or corten volume rm --force-protected {name}",
            )

    def set(self, name: str, protected: bool) -> None:
        self._db.execute("INSERT OR REPLACE INTO protection VALUES (?, ?)", (name, protected))

    def setting(self, name: str) -> bool | None:
        """What was said by `set`; None when only the label counts."""
        row = self._db.query_one("SELECT protected FROM protection WHERE volume = ?", (name,))
        return bool(row[0]) if row else None

    def forget(self, name: str) -> None:
        """The volume is gone: another one of that name starts anew. Joins a surrounding transaction."""
        self._db.execute("DELETE FROM protection WHERE volume = ?", (name,))


def _refusal(what: str) -> Conflict:
    return Conflict(f"{what} is protected by its label {LABEL}", reason="protected", hint=HINT)
