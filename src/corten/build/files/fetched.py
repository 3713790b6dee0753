"""Sources of ADD from URLs and git repositories, fetched once for all builds that ask for the same at the same time."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from corten.build.singleflight import SingleFlight


@dataclass(frozen=True, slots=True)
class FetchedSource:
    """What was fetched: the file `folder`/`name`, or all of `folder`. `time` (ns) is what the server says of it."""

    folder: str
    name: str
    digest: str
    time: int | None = None
    is_folder: bool = False


@dataclass(slots=True)
class _Held:
    users: int = 0
    folders: list[str] = field(default_factory=list)


class FetchedSources:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._fetching: SingleFlight[FetchedSource] = SingleFlight()
        self._held: dict[object, _Held] = {}

    @asynccontextmanager
    async def held(self, key: object, fetch: Callable[[], Awaitable[FetchedSource]]) -> AsyncIterator[FetchedSource]:
        """What `fetch` brings, gone when the last that has it is done. Raises what it raises."""
        held = self._held.setdefault(key, _Held())
        held.users += 1

        async def brought(output: object) -> FetchedSource:
            remote = await fetch()
            held.folders.append(remote.folder)
            return remote

        try:
            yield (await self._fetching.do(key, lambda stream, data: None, brought))[0]
        finally:
            held.users -= 1
            if not held.users:
                del self._held[key]
                for folder in held.folders:
                    shutil.rmtree(folder, ignore_errors=True)
