"""What ADD fetches: once for all who want it at the same time, and gone when the last of them is done."""

import asyncio
import os
from pathlib import Path

import pytest

from corten.build.files.fetched import FetchedSource, FetchedSources
from corten.errors import Unavailable


class Fetch:
    """Each fetch makes a folder once it is told to go on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> FetchedSource:
        self.count += 1
        folder = self.root / str(self.count)
        folder.mkdir()
        await self.go_on.wait()
        return FetchedSource(str(folder), "f", "sha256:1")


async def user(remotes: FetchedSources, fetch: Fetch, done: asyncio.Event) -> str:
    async with remotes.held("key", fetch) as remote:
        await done.wait()
        assert os.path.isdir(remote.folder)
        return remote.folder


def test_one_fetch_whose_folder_goes_with_its_last_user(tmp_path: Path) -> None:
    async def main() -> None:
        remotes, fetch = FetchedSources(), Fetch(tmp_path)
        ends = [asyncio.Event() for _ in range(3)]
        users = [asyncio.ensure_future(user(remotes, fetch, end)) for end in ends]
        await asyncio.sleep(0)
        fetch.go_on.set()
        found = set()
        for end, task in zip(ends, users, strict=True):
            end.set()
            found.add(await task)
        assert fetch.count == len(found) == 1
        assert list(tmp_path.iterdir()) == []

    asyncio.run(main())


def test_who_comes_later_fetches_again(tmp_path: Path) -> None:
    async def main() -> None:
        remotes, fetch, end = FetchedSources(), Fetch(tmp_path), asyncio.Event()
        fetch.go_on.set()
        first = asyncio.ensure_future(user(remotes, fetch, end))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(user(remotes, fetch, end))
        await asyncio.sleep(0.01)
        end.set()
        assert await first != await second
        assert list(tmp_path.iterdir()) == []

    asyncio.run(main())


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    async def fail() -> FetchedSource:
        raise Unavailable("no", reason="no")

    async def main() -> None:
        remotes = FetchedSources()
        for _ in range(2):
            with pytest.raises(Unavailable):
                async with remotes.held("key", fail):
                    pass

    asyncio.run(main())
