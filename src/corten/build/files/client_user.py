"""The user of a client whose folder is read in place: an engine that is root must not read for them what they cannot read.

Whoever may use the engine's socket can do anything with it, so this is no security boundary. It keeps a build from reading what a
client could not have sent.
"""

import os
import stat
from dataclasses import dataclass

from corten.errors import Denied

_ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class ClientUser:
    """A user and all of its groups."""

    uid: int
    groups: frozenset[int]

    def check_readable(self, folder: int, name: str, path: str, found: os.stat_result) -> None:
        """Raises Denied when this user cannot read or enter `name` of `folder`, which looks like `found`. `path` is what the error says."""
        if self.uid == 0 or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        wanted = 0o5 if stat.S_ISDIR(found.st_mode) else 0o4
        if found.st_mode >> shift & wanted != wanted and not _has_acl(folder, name):
            text = f"error from sender: open {path}: permission denied"
            raise Denied(text, reason="context-denied", hint="leave it out by .dockerignore")


def _has_acl(folder: int, name: str) -> bool:
    """Then the mode does not tell who may read."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return _ACL in os.listxattr(f"/proc/self/fd/{fd}")
    except OSError:
        return False
    finally:
        os.close(fd)
