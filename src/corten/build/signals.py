"""Which words STOPSIGNAL takes: numbers 1–64, and names with or without SIG."""

import re
import signal

_REALTIME = re.compile(r"RTMIN(\+([0-9]|1[0-5]))?|RTMAX(-([0-9]|1[0-4]))?")
_NAMES = frozenset(s.name.removeprefix("SIG") for s in signal.Signals) | {"CLD", "POLL", "IO", "STKFLT", "UNUSED"}


def is_signal(text: str) -> bool:
    if text.isdecimal():
        return 0 < int(text) <= 64
    name = text.upper().removeprefix("SIG")
    return name in _NAMES or bool(_REALTIME.fullmatch(name))
