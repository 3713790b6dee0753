"""A stage's files at a host path, for a container that is to see them."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from corten.build.files.scratch import Scratch
from corten.build.steps.brake import Brake
from corten.build.workshop import Workshop
from corten.ids import DiffId
from corten.kernel.mount import umount2

MNT_DETACH: Final = 2


@asynccontextmanager
async def mounted_stack(workshop: Workshop, scratch: Scratch, layers: Sequence[DiffId]) -> AsyncIterator[str]:
    """`layers` mounted for as long as somebody needs them; what is written there is thrown away. Raises Invalid, OSError."""
    brake = Brake()
    key = await asyncio.to_thread(workshop.prepare, layers)
    folder = scratch.folder()
    try:
        await brake.in_thread(lambda: workshop.mount(key, folder))
        try:
            yield folder
        finally:
            umount2(folder, MNT_DETACH)
    finally:
        os.rmdir(folder)
        workshop.drop(key)
