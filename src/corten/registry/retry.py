"""How often and how patiently a request is tried again."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` in all; waits `first` seconds, doubling, up to `longest`; `longest` also caps Retry-After.

    `silence`: seconds without a byte after which a connection counts as broken.
    """

    attempts: int = 6
    first: float = 0.25
    longest: float = 30.0
    silence: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, attempt: int, retry_after: str | None) -> None:
        asked = _seconds(retry_after) if retry_after else None
        seconds = self.first * 2**attempt * random.uniform(0.8, 1.2) if asked is None else asked
        self.sleep(min(self.longest, seconds))


def _seconds(retry_after: str) -> float | None:
    """`Retry-After`: seconds, or a date (RFC 9110 §10.2.3). None for neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
