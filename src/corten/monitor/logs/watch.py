"""inotify(7): told of what happens to the files of a folder."""

import ctypes
import os
import struct
from collections.abc import Iterator

from corten.kernel.libc import check, libc

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_Q_OVERFLOW = 0x4000
IN_ONLYDIR = 0x01000000

_EVENT = struct.Struct("iIII")


class FolderWatch:
    """`fd` is readable (poll it) when `events` has something to tell."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = check(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")

    def add(self, folder: str, mask: int) -> int:
        """The watch's number, which each of its events carries."""
        path = ctypes.c_char_p(os.fsencode(folder))
        return check(libc.inotify_add_watch(self.fd, path, ctypes.c_uint32(mask | IN_ONLYDIR)), "inotify_add_watch", folder)

    def events(self) -> Iterator[tuple[int, int, str]]:
        """(watch, mask, file name) of all that happened since the last call. IN_Q_OVERFLOW comes with watch -1: look for yourself."""
        while True:
            try:
                data = os.read(self.fd, 64 << 10)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                yield watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
                at += length

    def close(self) -> None:
        os.close(self.fd)
