"""The engine's folders and files are closed to the machine's other users, also where they were made open by somebody else.

Nobody passes the folders right below the two roots, so what lies deeper needs no look. The exec root itself may be passed: the usual
socket lies in it, which a group may use.
"""

import os
import stat

_PASSED = 0o066
"""What nobody but the owner has on a folder that others may pass."""
_CLOSED = 0o067
_FILE = 0o077


def restrict_roots(data_root: str, exec_root: str, pidfile: str, *, make: bool = True) -> None:
    """Makes both roots and their `containers`, and takes from others what they have on these and on all right below.

    Without `make` only for the roots that exist."""
    for root, mode, refused in ((data_root, 0o710, _CLOSED), (exec_root, 0o711, _PASSED)):
        if not make and not os.path.isdir(root):
            continue
        os.makedirs(root, mode=mode, exist_ok=True)
        _take(root, refused)
        os.makedirs(os.path.join(root, "containers"), mode=0o700, exist_ok=True)
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _take(entry.path, _CLOSED)
                elif entry.is_file(follow_symlinks=False) and entry.path != pidfile:
                    _take(entry.path, _FILE)


def _take(path: str, bits: int) -> None:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & bits:
        os.chmod(path, mode & ~bits)
