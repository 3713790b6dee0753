"""What the store does behind its answers: removed trees are deleted and written layers flushed, by one thread."""

import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from corten.store.files import remove_tree


class Background:
    """Tasks one after another in one thread. What is not done at `close` is done after the next start by whoever asked for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corten-store")
        self.closing = threading.Event()

    def submit(self, task: Callable[[], None]) -> "Future[None] | None":
        """None when closing."""
        return None if self.closing.is_set() else self._thread.submit(task)

    def wait(self) -> None:
        """Returns when everything submitted before is done."""
        if (done := self.submit(_nothing)) is not None:
            done.result()

    def close(self) -> None:
        """Stops after the task in hand."""
        self.closing.set()
        self._thread.shutdown(cancel_futures=True)


def _nothing() -> None:
    """The task behind which `wait` waits."""


class Trash:
    """Where removed trees go: renamed away at once, deleted behind the answer, or after the next start.

    `root` must be on the file system of everything thrown into it.
    """

    def __init__(self, root: str, background: Background) -> None:
        self._root = root
        self._background = background
        os.makedirs(root, mode=0o700, exist_ok=True)

    def throw(self, path: str) -> None:
        """`path` is gone when this returns (one rename); its space comes back a little later. A missing path is fine."""
        try:
            os.rename(path, os.path.join(self._root, secrets.token_hex(8)))
        except FileNotFoundError:
            return
        self.sweep()

    def sweep(self) -> None:
        """Ask for everything in the trash to be deleted."""
        self._background.submit(self._empty)

    def _empty(self) -> None:
        for name in os.listdir(self._root):
            if self._background.closing.is_set():
                return
            remove_tree(os.path.join(self._root, name))
