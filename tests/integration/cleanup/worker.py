"""Plays operations until it kills itself: `python -m tests.integration.cleanup.worker ROOT SEED BEFORE POINT`.

Dies at the POINT-th system call or database statement after BEFORE whole operations (BEFORE -1: while it starts). Says each operation
that it begins, and how it ended.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import threading
from pathlib import Path
from types import BuiltinFunctionType, FrameType
from typing import Any

from tests.integration.cleanup.model import some_op
from tests.integration.cleanup.player import GC, Player
from tests.unit.engine.world import world


class Countdown:
    """Kills this process at a point between two system calls."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.armed = False

    def seen(self, _: FrameType, event: str, callee: Any) -> None:
        if not self.armed or event not in ("c_call", "c_return") or not isinstance(callee, BuiltinFunctionType):
            return
        if callee.__module__ == "posix" or isinstance(callee.__self__, sqlite3.Connection):
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(root: str, seed: str, before: str, point: str) -> None:
    moves, countdown = random.Random(seed), Countdown(int(point))
    sys.setprofile(countdown.seen)
    threading.setprofile(countdown.seen)
    countdown.armed = before == "-1"
    async with world(Path(root), gc=GC) as engine:
        engine.engine.services.volumes.recover([c.id for c in engine.engine.services.containers.all()])
        player = Player(engine)
        for number in range(1000):
            op = some_op(moves)
            print(json.dumps(op), flush=True)
            countdown.armed = number >= int(before) and op[0] != "write"  # a user's writing is no business of the engine's
            done = await player.play(op)
            countdown.armed = False
            print(json.dumps(done), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
