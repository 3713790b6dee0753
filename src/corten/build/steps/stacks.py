"""A stage's files at a host path, for a container that is to see them."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from corten.build.files.tempdirs import TempDirs
from corten.build.snapshotter import BuildSnapshotter
from corten.build.steps.cancel import CancelToken
from corten.ids import DiffId
from corten.kernel.mount import umount2

MNT_DETACH: Final = 2


@asynccontextmanager
async def mounted_stack(snapshotter: BuildSnapshotter, tempdirs: TempDirs, layers: Sequence[DiffId]) -> AsyncIterator[str]:
    """`layers` mounted for as long as somebody needs them; what is written there is thrown away. Raises Invalid, OSError."""
    cancel = CancelToken()
    key = await asyncio.to_thread(snapshotter.prepare, layers)
    folder = tempdirs.directory()
    try:
        await cancel.in_thread(lambda: snapshotter.mount(key, folder))
        try:
            yield folder
        finally:
            umount2(folder, MNT_DETACH)
    finally:
        os.rmdir(folder)
        snapshotter.remove(key)
