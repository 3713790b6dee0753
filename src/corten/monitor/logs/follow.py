"""Following a log across rotations until its container is over, with nothing but the files and inotify.

Every new live file is opened as soon as it appears, even while an older one is still being sent to a slow client, so the writer
may rotate and delete as it likes: what was written since the follower came is read to the end. A follower more than `BEHIND_MAX`
files behind loses the oldest, for each is disk space that nobody else can see.
"""

import os
import time
from collections import deque
from collections.abc import Iterable

from corten.monitor.exits import EXIT_FILE
from corten.monitor.logs.read import LogFile, open_log
from corten.monitor.logs.rotation import rotated
from corten.monitor.logs.watch import IN_CREATE, IN_DELETE_SELF, IN_MODIFY, IN_MOVED_TO, IN_Q_OVERFLOW, FolderWatch

BEHIND_MAX = 200
_STORM = 50
"""Attempts at a consistent look when files rotate faster than one can look; then some may be lost."""
_INSTANT = 0.001


class Follower:
    """The files from the live one on. Make it before the first read: what changes from then on it sees."""

    __slots__ = ("_exit_watch", "_files", "_folder", "_name", "_runtime_dir", "_unopened", "_watch", "is_over")

    def __init__(self, path: str, runtime_dir: str) -> None:
        """`runtime_dir` is where the container's exit.json appears when it is over and its log complete."""
        self._folder, self._name = os.path.split(path)
        self._runtime_dir = runtime_dir
        self._files: deque[LogFile] = deque()
        self._unopened = 0
        self._watch = FolderWatch()
        self._watch.add(self._folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        try:
            self._exit_watch = self._watch.add(runtime_dir, IN_MOVED_TO | IN_DELETE_SELF)
            self.is_over = os.path.exists(os.path.join(runtime_dir, EXIT_FILE))
        except FileNotFoundError:
            self._exit_watch = 0
            self.is_over = True

    @property
    def fd(self) -> int:
        """Readable when `notice` has something to do."""
        return self._watch.fd

    def open_log(self, max_file: int) -> list[LogFile]:
        """`read.open_log` at a moment from which on this follower knows of every new file."""
        for _ in range(_STORM):
            self._read_events()
            self._unopened = 0
            files = open_log(os.path.join(self._folder, self._name), max_file)
            self._read_events()
            if not self._unopened:
                break
            _close(files)
        return files

    def begin(self, live: LogFile | None) -> None:
        """Go on from where `live`, the newest file that `open_log` gave, is read to; it is the follower's now."""
        if live is not None:
            self._files.appendleft(live)
        elif not self._files:
            self._unopened = 1
        self.notice()

    def notice(self) -> None:
        """Take note of what happened: new files, the end."""
        self._read_events()
        for _ in range(_STORM):
            found = self._newest(self._unopened)
            whole = len(found) == self._unopened
            if not self._read_events() and whole:
                break
            # A rotation is under way: these may not be the ones, or one of them has no name at this moment.
            _close(found)
            if not whole:
                time.sleep(_INSTANT)
        else:
            found = self._newest(1)
        self._unopened = 0
        self._take(found)

    def block(self) -> bytes:
        """The next whole lines; b"" when there are none yet."""
        while self._files:
            # Looked at before reading: a file that has a successor is not written to any more.
            has_successor = len(self._files) > 1
            block = self._files[0].block()
            if block or not has_successor:
                return block
            self._files.popleft().close()
        return b""

    def close(self) -> None:
        self._watch.close()
        _close(self._files)

    def _read_events(self) -> bool:
        """Whether files were renamed or made since the last time."""
        moved = False
        for watch, mask, name in self._watch.events():
            if mask & IN_Q_OVERFLOW:
                self._unopened += 1
                self.is_over = self.is_over or os.path.exists(os.path.join(self._runtime_dir, EXIT_FILE))
            elif watch == self._exit_watch:
                self.is_over = self.is_over or bool(mask & IN_DELETE_SELF) or name == EXIT_FILE
            elif mask & (IN_CREATE | IN_MOVED_TO):
                moved = True
                self._unopened += name == self._name
        return moved

    def _newest(self, count: int) -> list[LogFile]:
        """The live file and the `count` - 1 before it, oldest first."""
        found: list[LogFile] = []
        if not count:
            return found
        path = os.path.join(self._folder, self._name)
        for name in (path, *(rotated(path, number) or "" for number in range(1, count))):
            try:
                fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            found.append(LogFile(fd, gzipped=name.endswith(".gz")))
        return found[::-1]

    def _take(self, found: list[LogFile]) -> None:
        for file in found:
            if any(file.inode == known.inode for known in self._files):
                file.close()
            else:
                self._files.append(file)
        while len(self._files) > BEHIND_MAX:
            self._files.popleft().close()


def _close(files: Iterable[LogFile]) -> None:
    for file in files:
        file.close()
