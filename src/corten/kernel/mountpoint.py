"""Whether something is mounted at a path: told by mount ids, as binds have the device number of what lies around them."""

import os


def is_mount_point(path: str) -> bool:
    """`path` is a directory at which something is mounted. A missing one is none."""
    try:
        return _mount_id(path) != _mount_id(os.path.join(path, ".."))
    except FileNotFoundError:
        return False


def _mount_id(path: str) -> int:
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
            return int(next(line for line in lines if line.startswith("mnt_id:")).split()[1])
    finally:
        os.close(fd)
