"""Contexts that came over sessions, kept for the next build from the same folder: only what changed travels then."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from corten.store.layers import Layers

MOST_KEPT: Final = 8


@dataclass(slots=True)
class _Kept:
    path: str
    stack: ExitStack
    is_used: bool = False


class KeptContexts:
    """Belongs to the event loop. They live as long as the engine, the last `MOST_KEPT` of them."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], _Kept] = {}

    @contextmanager
    def folder(self, layers: Layers, key: tuple[str, ...]) -> Iterator[int]:
        """A descriptor of the folder of that key, as the last build left it; a new one for a second build at the same time."""
        with ExitStack() as stack:
            kept = self._kept.pop(key, None)
            if kept is not None and kept.is_used:
                self._kept[key] = kept
                kept = None
            if kept is None:
                own = ExitStack()
                kept = _Kept(os.path.join(own.enter_context(layers.workplace()), "diff"), own)
            kept.is_used = True
            stack.callback(self._put_back, key, kept)
            root = os.open(kept.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            yield root

    def forget(self) -> None:
        """Removes all that no build uses."""
        for key in [key for key, kept in self._kept.items() if not kept.is_used]:
            self._kept.pop(key).stack.close()

    def _put_back(self, key: tuple[str, ...], kept: _Kept) -> None:
        kept.is_used = False
        if key in self._kept or not os.path.isdir(kept.path):
            kept.stack.close()
            return
        self._kept[key] = kept
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept))).stack.close()
