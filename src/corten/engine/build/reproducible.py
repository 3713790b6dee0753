"""`build --check-reproducible`: builds a second time without the step cache and finds the first difference.

Cache mounts are what they are: the second build finds what the first has left there, as every build does.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from corten.build.events import BuildEvent, CheckWarning, Emit, StepStarted
from corten.build.remotecache import CacheRecord
from corten.build.solve import SolveResult
from corten.errors import Conflict
from corten.store.layers import Layers

_PIECE: Final = 1 << 20


def second_build_events(emit: Emit) -> Emit:
    """The events of the second build as other steps than those of the first."""

    def renamed(event: BuildEvent) -> None:
        if isinstance(event, CheckWarning):
            return
        event = replace(event, id=f"again-{event.id}")
        emit(replace(event, label=f"second build: {event.label}") if isinstance(event, StepStarted) and event.label else event)

    return renamed


@dataclass(frozen=True, slots=True)
class Difference:
    """The first entry, in the order of paths, that is not the same in two layers. `what` says how."""

    path: str
    what: str


def compare(layers: Layers, first: SolveResult, second: SolveResult) -> None:
    """Raises Conflict when the images differ, for the first step that made other files. Blocks."""
    if first.state.layers == second.state.layers and first.state.config == second.state.config:
        return
    _compare_steps(layers, first.records, second.records)
    raise Conflict("not reproducible: the image's config differs", reason="not-reproducible")


def _compare_steps(layers: Layers, first: Mapping[str, CacheRecord], second: Mapping[str, CacheRecord]) -> None:
    for key, record in first.items():
        other = second.get(key)
        if other is None or other.layer == record.layer:
            continue
        hint = "clocks, random numbers and what was downloaded are the usual reasons; `ARG SOURCE_DATE_EPOCH` gives a step a fixed time"
        if record.layer is None or other.layer is None:
            text = f"not reproducible: {record.name}: only one of two builds made files"
            raise Conflict(text, reason="not-reproducible", hint=hint)
        found = first_difference(layers.path(record.layer), layers.path(other.layer))
        where = f"/{found.path}: {found.what}" if found else "the same files in another form"
        raise Conflict(f"not reproducible: {record.name}: {where}", reason="not-reproducible", hint=hint)


def first_difference(one: str, other: str) -> Difference | None:
    """Of the trees below two directories."""
    for path, left, right in _pairs(one, other, ""):
        what = _differs(os.path.join(one, path), os.path.join(other, path), left, right)
        if what:
            return Difference(path, what)
    return None


Pair = tuple[str, os.stat_result | None, os.stat_result | None]


def _pairs(one: str, other: str, folder: str) -> Iterator[Pair]:
    left, right = _entries(os.path.join(one, folder)), _entries(os.path.join(other, folder))
    for name in sorted({*left, *right}):
        path = os.path.join(folder, name)
        yield path, left.get(name), right.get(name)
        if name in left and name in right and stat.S_ISDIR(left[name].st_mode) and stat.S_ISDIR(right[name].st_mode):
            yield from _pairs(one, other, path)


def _entries(folder: str) -> dict[str, os.stat_result]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}


def _differs(one: str, other: str, left: os.stat_result | None, right: os.stat_result | None) -> str:
    if left is None or right is None:
        return "only in the second build" if left is None else "only in the first build"
    if stat.S_IFMT(left.st_mode) != stat.S_IFMT(right.st_mode):
        return "another kind of file"
    if what := _content(one, other, left, right):
        return what
    for what, ours, theirs in (
        ("mode", f"{stat.S_IMODE(left.st_mode):o}", f"{stat.S_IMODE(right.st_mode):o}"),
        ("owner", f"{left.st_uid}:{left.st_gid}", f"{right.st_uid}:{right.st_gid}"),
        ("device", str(left.st_rdev), str(right.st_rdev)),
        ("extended attributes", str(_xattrs(one)), str(_xattrs(other))),
        ("mtime", str(left.st_mtime_ns), str(right.st_mtime_ns)),
    ):
        if ours != theirs:
            return f"{what} {ours} and {theirs}"
    if not stat.S_ISDIR(left.st_mode) and left.st_nlink != right.st_nlink:
        return f"hard links {left.st_nlink} and {right.st_nlink}"
    return ""


def _content(one: str, other: str, left: os.stat_result, right: os.stat_result) -> str:
    if stat.S_ISLNK(left.st_mode):
        ours, theirs = os.readlink(one), os.readlink(other)
        return f"link to {ours} and to {theirs}" if ours != theirs else ""
    if not stat.S_ISREG(left.st_mode):
        return ""
    offset = 0
    with open(one, "rb") as first, open(other, "rb") as second:
        while True:
            a, b = first.read(_PIECE), second.read(_PIECE)
            if a != b:
                at = offset + next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
                return f"content, {left.st_size} and {right.st_size} bytes, from byte {at}"
            if not a:
                return ""
            offset += len(a)


def _xattrs(path: str) -> dict[str, bytes]:
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(os.listxattr(path, follow_symlinks=False))}
