"""Where removed trees go: renamed away at once, deleted by one thread behind the answer, swept at the next start."""

import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

from corten.store.files import remove_tree


class Trash:
    """`root` must be on the file system of everything thrown into it."""

    def __init__(self, root: str) -> None:
        self._root = root
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corten-trash")
        self._closing = threading.Event()

    def throw(self, path: str) -> None:
        """`path` is gone when this returns (one rename); its space comes back a little later. A missing path is fine."""
        try:
            os.rename(path, os.path.join(self._root, secrets.token_hex(8)))
        except FileNotFoundError:
            return
        self.sweep()

    def sweep(self) -> None:
        """Ask for everything in the trash to be deleted."""
        if not self._closing.is_set():
            self._thread.submit(self._empty)

    def wait(self) -> None:
        """Returns when all that was thrown before is deleted. Raises what made deleting fail."""
        self._thread.submit(self._empty).result()

    def close(self) -> None:
        """Stops after the tree in hand; the rest is swept at the next start."""
        self._closing.set()
        self._thread.shutdown(cancel_futures=True)

    def _empty(self) -> None:
        for name in os.listdir(self._root):
            if self._closing.is_set():
                return
            remove_tree(os.path.join(self._root, name))
