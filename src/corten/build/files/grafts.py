"""Files that become a layer's without being copied: those of a build's context, which is thrown away when the build ends.

    context/data/x ──link──▶ upper/srv/data/x

Overlayfs refuses a link from outside, so it is made beside it, in its upper directory, once nothing is mounted any more. Only what
would look the same as a copy goes this way: one owner, the sent mode, one time for all. The bytes are neither read nor written.
"""

import os
from dataclasses import dataclass, field

from corten.build.files.tree import Tree
from corten.kernel.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(slots=True)
class Grafts:
    """The files that one COPY leaves for `plant`. `time` (ns since the epoch) is what they and their directories get."""

    source: Tree
    time: int
    _places: dict[str, str] = field(default_factory=dict)  # by directory of the source, the one in the target
    _names: dict[str, list[str]] = field(default_factory=dict)

    def fits(self, name: str, found: os.stat_result) -> bool:
        """A second name means that another layer may have the file already; compiled Python is changed where its layer is made."""
        return found.st_nlink == 1 and not name.endswith(".pyc")

    def knows(self, folder: str) -> bool:
        return folder in self._places

    def place(self, folder: str, target: str) -> None:
        """The source's directory `folder` goes to `target`, a path without links, which the upper directory has when `plant` is called."""
        self._places[folder] = target

    def take(self, folder: str, name: str) -> None:
        self._names.setdefault(folder, []).append(name)

    def plant(self, upper: str) -> None:
        """Blocks. The overlay of `upper` must not be mounted. Raises OSError."""
        root = os.open(upper, _FOLDER)
        try:
            for folder, names in self._names.items():
                self._plant(folder, names, root)
        finally:
            os.close(root)

    def _plant(self, folder: str, names: list[str], root: int) -> None:
        target = self._places[folder].strip("/") or "."
        to = openat2(root, target, _FOLDER, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        try:
            source = self.source.open(folder, _FOLDER)
            try:
                for name in names:
                    os.link(name, name, src_dir_fd=source, dst_dir_fd=to, follow_symlinks=False)
                    os.utime(name, ns=(self.time, self.time), dir_fd=to, follow_symlinks=False)
            finally:
                os.close(source)
            os.utime(to, ns=(self.time, self.time))
        finally:
            os.close(to)
