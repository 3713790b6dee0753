"""json-file entries back to what was said, by runs: consecutive entries that share stream and time.

The writer stamps a chunk's lines with one time, so a run is usually hundreds of lines, and one `bytes.split` by what stands
between two texts takes it apart. Lines that are alone with their time go by a regular expression (half the cost of the general
way), entries that are escaped, partial or foreign (Docker's own files) one by one.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from corten.monitor.stdio.frames import STDERR, STDOUT

_HEAD = b'{"log":"'
_STREAM = b'","stream":"'
_STREAMS = {"stdout": STDOUT, "stderr": STDERR}
_PLAIN_TAILS = {b'","stream":"stdout","time":"': STDOUT, b'","stream":"stderr","time":"': STDERR}
_PLAIN_TAIL = 27
_LINE = re.compile(rb'\{"log":"([^"\\\n]*)\\n","stream":"std(out|err)","time":"([^"]{20,30})"\}\n')
_STREAM_ENDS = {b"out": STDOUT, b"err": STDERR}
_FEW = 2
"""So many lines with the time of the one before are worth looking for the end of the run."""

_LONGEST_TAIL = _PLAIN_TAIL + 30 + 3


class Run(NamedTuple):
    """What was said on one stream (1 stdout, 2 stderr) at one time: `texts`, each followed by `ending` (a newline, or nothing)."""

    stream: int
    time: bytes
    attrs: dict[str, str]
    texts: list[bytes]
    ending: bytes


def runs(block: bytes) -> Iterator[Run]:
    """All entries of `block`, whole lines of a log file. What is no entry (a torn line after power loss) is passed over."""
    at = 0
    while at < len(block):
        before, alike = None, 0
        while alike < _FEW and (line := _LINE.match(block, at)) is not None:
            stream, time = line.group(2, 3)
            alike = alike + 1 if time == before else 0
            before = time
            yield Run(_STREAM_ENDS[stream], time, {}, [line[1]], b"\n")
            at = line.end()
        if at == len(block):
            return
        end = block.find(b"\n", at) + 1 or len(block)
        mark = block.rfind(_STREAM, at, end)
        if mark < 0 or not block.startswith(_HEAD, at):
            yield from _foreign(block[at:end])
            at = end
            continue
        tail = block[mark:end]
        last = _run_end(block, at, end, tail)
        run = _parse(tail, block[at + len(_HEAD) : last - len(tail)])
        if run is None and last > end:  # another run's entry lies in between
            last = end
            run = _parse(tail, block[at + len(_HEAD) : mark])
        if run is not None:
            yield run
        at = last


def _run_end(block: bytes, at: int, end: int, tail: bytes) -> int:
    """The end of the run's last entry: steps that double until one lands on another tail, then halve."""
    step = entry = end - at
    factor = 2
    while step >= entry:
        probe = block.find(b"\n", end + step - 1) + 1
        if probe and block.endswith(tail, end, probe):
            end = probe
        else:
            factor = 0
        step = step * 2 if factor else step // 2
    return end


def _parse(tail: bytes, inside: bytes) -> Run | None:
    """The run whose entries end in `tail`; `inside` lacks the first head and the last tail. None if not all of it is of this run."""
    what = _known(tail)
    if what is None:
        return None
    stream, time, attrs = what
    if inside.endswith(b"\\n"):
        texts = inside[:-2].split(b"\\n" + tail + _HEAD)
        bare = texts[0] if len(texts) == 1 else b"".join(texts)
        if b"\\" not in bare and b"\n" not in bare:
            return Run(stream, time, attrs, texts, b"\n")
    texts = inside.split(tail + _HEAD)
    if any(b"\n" in text for text in texts):
        return None
    return Run(stream, time, attrs, [unescape(text) for text in texts], b"")


def _known(tail: bytes) -> tuple[int, bytes, dict[str, str]] | None:
    stream = _PLAIN_TAILS.get(tail[:_PLAIN_TAIL])
    if stream is not None and len(tail) <= _LONGEST_TAIL:
        return stream, tail[_PLAIN_TAIL:-3], {}
    try:
        entry = json.loads(_HEAD + tail)
        return _STREAMS[entry["stream"]], entry["time"].encode(), entry.get("attrs") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def unescape(text: bytes) -> bytes:
    """The inside of a JSON string as bytes."""
    if b"\\" not in text:
        return text
    try:
        plain: str = json.loads(b'"' + text + b'"')
    except ValueError:
        return text
    return plain.encode(errors="replace")


def _foreign(line: bytes) -> Iterator[Run]:
    """An entry whose fields stand in another order."""
    try:
        entry = json.loads(line)
        text = entry["log"].encode(errors="replace")
        run = Run(_STREAMS[entry["stream"]], entry["time"].encode(), entry.get("attrs") or {}, [text], b"")
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    yield run
