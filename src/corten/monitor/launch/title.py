"""How launcher and monitors call themselves in ps: by writing over their argument area, as nothing in the kernel does it for us."""

import ctypes

from corten.kernel.process import prctl_set_name

_ARG_START = 48
_ARG_END = 49
_FIRST = 3
"""proc_pid_stat(5) numbers the fields from 1; this is the one behind the parenthesis."""


class Title:
    """The process' own argument area, which its forks inherit."""

    def __init__(self) -> None:
        with open("/proc/self/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
        self._start, self._end = int(fields[_ARG_START - _FIRST]), int(fields[_ARG_END - _FIRST])

    def set(self, name: str, detail: str = "") -> None:
        """`name` (at most 15 bytes) becomes the process' name, `name detail` its command line, as far as there is room."""
        room = self._end - self._start
        text = f"{name} {detail}".strip().encode()[: room - 1]
        if room > 1:
            ctypes.memmove(self._start, text.ljust(room, b"\0"), room)
        prctl_set_name(name)
