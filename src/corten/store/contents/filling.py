"""The first filling of a volume from an image: whole or not at all, whatever crashes, and never twice.

volumes/NAME/_data       what containers see
volumes/NAME/_filling    a filling under way; thrown away at the next start
volumes/NAME/_filled     a whole filling on its way into a _data that is in use; the next start goes on with it
"""

import os
import stat
from typing import Final

from corten.kernel.mountpoint import is_mount_point
from corten.store.copytree import TreeCopy
from corten.store.files import disk_error, remove_tree
from corten.store.trash import Trash

DATA: Final = "_data"
_FILLING: Final = "_filling"
_FILLED: Final = "_filled"


class Filling:
    """All methods touch files and belong in a thread."""

    def __init__(self, root: str, trash: Trash) -> None:
        self._root = root
        self._trash = trash

    def is_empty(self, name: str) -> bool:
        with os.scandir(self._part(name, DATA)) as entries:
            return next(entries, None) is None

    def fill(self, name: str, source: int, *, in_use: bool = False) -> None:
        """Copies directory `source` (an fd) into an empty volume, its owner and mode too.

        `in_use`: somebody may have its directory open or mounted, so that it must stay the same directory: the entries come in
        one by one then, and `recover` goes on with it after a crash. What is mounted over the directory is filled directly, and
        emptied again when that fails.
        """
        data = self._part(name, DATA)
        try:
            if is_mount_point(data):
                _copy_into_mount(source, data)
                return
            filling = self._part(name, _FILLING)
            self._trash.throw(filling)
            os.mkdir(filling, 0o755)
            _copy_contents(source, filling)
            if in_use:
                os.rename(filling, filled := self._part(name, _FILLED))
                _move_in(filled, data)
            else:
                os.rename(filling, data)
        except OSError as error:
            self._trash.throw(self._part(name, _FILLING))
            raise disk_error(error, f"filling volume {name} from the image") from error

    def recover(self, name: str) -> None:
        """At start: half a filling goes, a whole one is moved in."""
        self._trash.throw(self._part(name, _FILLING))
        filled = self._part(name, _FILLED)
        if os.path.isdir(filled):
            _move_in(filled, self._part(name, DATA))

    def _part(self, name: str, part: str) -> str:
        return os.path.join(self._root, name, part)


def _copy_contents(source: int, target: str) -> None:
    copy = TreeCopy()
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        copy.contents(source, fd)
        os.fsync(fd)
    finally:
        os.close(fd)
        copy.close()


def _copy_into_mount(source: int, data: str) -> None:
    try:
        _copy_contents(source, data)
    except OSError:
        for name in os.listdir(data):
            remove_tree(os.path.join(data, name))
        raise


def _move_in(filled: str, data: str) -> None:
    """Everything of `filled` into `data`, and its owner and mode; an entry that is there by now is left alone."""
    for name in os.listdir(filled):
        if not os.path.lexists(os.path.join(data, name)):
            os.rename(os.path.join(filled, name), os.path.join(data, name))
    found = os.stat(filled)
    os.chown(data, found.st_uid, found.st_gid)
    os.chmod(data, stat.S_IMODE(found.st_mode))
    remove_tree(filled)
