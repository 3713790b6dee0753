"""Signal names as users write them: `TERM`, `SIGTERM`, `15`, `RTMIN+3`."""

import signal

from corten.errors import Invalid


def _names() -> dict[str, int]:
    table = {s.name.removeprefix("SIG"): int(s) for s in signal.Signals}
    lowest, highest = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    table |= {f"RTMIN+{n}": lowest + n for n in range(1, 16)}
    table |= {f"RTMAX-{n}": highest - n for n in range(1, 15)}
    return table


SIGNALS = _names()
HIGHEST = int(signal.SIGRTMAX)


def parse_signal(text: str) -> int:
    """The signal's number. Names are accepted with and without `SIG`, in any case; raises Invalid with Docker's wording."""
    if text.isdecimal():
        number = int(text)
        if 0 < number <= HIGHEST:
            return number
    else:
        found = SIGNALS.get(text.upper().removeprefix("SIG"))
        if found is not None:
            return found
    raise Invalid(f"invalid signal: {text}", reason="bad-signal")
