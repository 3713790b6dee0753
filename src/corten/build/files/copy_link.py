"""COPY --link: whether its layer may be made without the layers below.

A layer made on nothing brings the folders above its files along, root's and 0755. That gives the same tree as a copy into the stage
only where the folders that are there already look the same, and where no link and no folder stands in the way; else it is a plain copy.
"""

import os
import stat

_PLAIN = stat.S_IFDIR | 0o755
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def fits_anywhere(root: int, target: str, *, changed: bool) -> bool:
    """`root` is the stage's, `target` absolute, with a slash at its end where it is meant as a folder.

    `changed`: new folders get an owner or mode of the step's, which one that is there must not.
    """
    *folders, name = target.strip("/").split("/") if target.strip("/") else [""]
    if target.endswith("/"):
        folders, name = [*folders, name], ""
    at = os.dup(root)
    try:
        for folder in filter(None, folders):
            found = _found(at, folder)
            if found is None:
                return True
            if changed or found.st_mode != _PLAIN or (found.st_uid, found.st_gid) != (0, 0):
                return False
            inner = os.open(folder, _FOLDER, dir_fd=at)
            if os.listxattr(inner):
                os.close(inner)
                return False
            os.close(at)
            at = inner
        found = _found(at, name) if name else None
        return found is None or stat.S_ISREG(found.st_mode)
    finally:
        os.close(at)


def _found(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
