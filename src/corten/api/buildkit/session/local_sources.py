"""Local sources received over sessions, kept by the client's shared key: the next build from the same folder receives what changed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from corten.store.layers import Layers

MOST_KEPT: Final = 8


@dataclass(slots=True)
class _LocalSource:
    path: str
    stack: ExitStack
    is_used: bool = False


class LocalSources:
    """Belongs to the event loop. They live as long as the engine, the last `MOST_KEPT` of them."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, ...], _LocalSource] = {}

    @contextmanager
    def folder(self, layers: Layers, key: tuple[str, ...]) -> Iterator[int]:
        """A descriptor of the folder of that key, as the last build left it; a new one for a second build at the same time."""
        with ExitStack() as stack:
            source = self._sources.pop(key, None)
            if source is not None and source.is_used:
                self._sources[key] = source
                source = None
            if source is None:
                own = ExitStack()
                source = _LocalSource(os.path.join(own.enter_context(layers.workplace()), "diff"), own)
            source.is_used = True
            stack.callback(self._put_back, key, source)
            root = os.open(source.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            yield root

    def forget(self) -> None:
        """Removes all that no build uses."""
        for key in [key for key, source in self._sources.items() if not source.is_used]:
            self._sources.pop(key).stack.close()

    def _put_back(self, key: tuple[str, ...], source: _LocalSource) -> None:
        source.is_used = False
        if key in self._sources or not os.path.isdir(source.path):
            source.stack.close()
            return
        self._sources[key] = source
        while len(self._sources) > MOST_KEPT:
            self._sources.pop(next(iter(self._sources))).stack.close()
