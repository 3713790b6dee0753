"""What goes and what stays, decided from values alone: nothing here reads the disk or the database.

    trash ─▶ build cache ─▶ dangling images ─▶ images that a registry has ─▶ images made here

Inside a kind what was not used for longest goes first. Whatever comes later in this line stays when there is room enough without it.
Build cache whose layers an image has, too, frees nothing by itself: it goes with the image, or stays with it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from corten.gcpolicy import GcPolicy, format_age
from corten.ids import DiffId

CandidateKind = Literal["trash", "build-cache", "dangling", "image", "own-image"]
ORDER: Final[Sequence[CandidateKind]] = ("trash", "build-cache", "dangling", "image", "own-image")
ENOUGH: Final = "there is room enough"
_WHY: Final[Mapping[CandidateKind, str]] = {
    "trash": "in the trash",
    "build-cache": "build cache not used for {keep}",
    "dangling": "no name, no container, not used for {keep}",
    "image": "no container, not used for {keep}",
    "own-image": "no container, not used for {keep}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`names`: by which a pin may mean it. `used` is ns since the epoch, 0 = never; `last`: goes after the others of its kind.

    `own`: bytes that are its alone; `holders`: the records through which it holds layers. `spared` says why it may not go, "" = it may.
    """

    kind: CandidateKind
    id: str
    name: str
    names: tuple[str, ...] = ()
    used: int = 0
    last: bool = False
    own: int = 0
    holders: frozenset[str] = frozenset()
    spared: str = ""


@dataclass(frozen=True, slots=True)
class LayerHolders:
    """Who holds which layers, and the layers' sizes in bytes."""

    sizes: Mapping[DiffId, int]
    held_by: Mapping[str, Collection[DiffId]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`size`: bytes that come back when it goes after what went before; for what stays, bytes that would come back if it went now."""

    candidate: Candidate
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class GcPlan:
    """`wanted`: bytes that are to come back."""

    wanted: int
    going: tuple[Verdict, ...]
    staying: tuple[Verdict, ...]

    @property
    def freed(self) -> int:
        return sum(verdict.size for verdict in self.going)


def make_plan(candidates: Sequence[Candidate], layered: LayerHolders, policy: GcPolicy, *, wanted: int, now: int) -> GcPlan:
    """Takes one after another until `wanted` bytes come back. `now` is ns since the epoch."""
    refusals = [(candidate, _refusal(candidate, policy, now)) for candidate in sorted(candidates, key=_turn)]
    able = [candidate for candidate, why in refusals if not why]
    count = _Count(layered)
    idle = _useless(able, layered)
    going: list[Verdict] = []
    freed = 0
    waiting: list[Candidate] = []
    for candidate in able:
        if freed >= wanted:
            break
        if candidate.id in idle:
            continue
        if candidate.kind == "build-cache" and not count.alone(candidate):
            waiting.append(candidate)
            continue
        for one in (*count.companions(candidate, waiting), candidate):
            size = count.release(one)
            going.append(Verdict(one, size, _WHY[one.kind].format(keep=format_age(policy.keep or 0))))
            freed += size
    gone = {id(verdict.candidate) for verdict in going}
    staying = [
        Verdict(candidate, count.alone(candidate), why or idle.get(candidate.id, ENOUGH))
        for candidate, why in refusals
        if id(candidate) not in gone
    ]
    return GcPlan(max(wanted, 0), tuple(going), tuple(staying))


def _turn(candidate: Candidate) -> tuple[int, bool, int]:
    return ORDER.index(candidate.kind), candidate.last, candidate.used


def _refusal(candidate: Candidate, policy: GcPolicy, now: int) -> str:
    if candidate.spared:
        return candidate.spared
    if pattern := policy.pinned_by((candidate.name, *candidate.names)):
        return f"pinned by {pattern}"
    if candidate.kind == "trash":
        return ""
    if policy.keep is None:
        return "only the trash is collected by itself: keep is not set"
    return f"used within {format_age(policy.keep)}" if candidate.used > now - policy.keep * 10**9 else ""


def _useless(able: Sequence[Candidate], layered: LayerHolders) -> dict[str, str]:
    """Those whose going frees nothing even if all the others go, by id, and why."""
    count = _Count(layered)
    free = count.free_without(holder for candidate in able for holder in candidate.holders)
    return {
        candidate.id: "nothing would come back" + (": others need its layers" if candidate.holders else "")
        for candidate in able
        if not candidate.own and not any(layer in free for holder in candidate.holders for layer in layered.held_by.get(holder, ()))
    }


class _Count:
    """How many records hold each layer."""

    def __init__(self, layered: LayerHolders) -> None:
        self._sizes = layered.sizes
        self._held_by = layered.held_by
        self._holders = Counter(layer for layers in layered.held_by.values() for layer in set(layers))

    def release(self, candidate: Candidate) -> int:
        """It is gone: the bytes that come back."""
        freed = self.alone(candidate)
        self._holders.subtract(self._share(candidate))
        return freed

    def alone(self, candidate: Candidate) -> int:
        share = self._share(candidate)
        return candidate.own + sum(self._sizes.get(layer, 0) for layer, held in share.items() if self._holders[layer] == held)

    def companions(self, candidate: Candidate, waiting: list[Candidate]) -> list[Candidate]:
        """Those of `waiting` that alone stand between `candidate` and the bytes of its layers; they wait no longer."""
        share = self._share(candidate)
        shares = [(other, self._share(other)) for other in waiting]
        together = share + sum((other for _, other in shares if other.keys() <= share.keys()), Counter[DiffId]())
        found = [other for other, held in shares if all(layer in share and self._holders[layer] == together[layer] for layer in held)]
        waiting[:] = [other for other in waiting if other not in found]
        return found

    def free_without(self, holders: Iterable[str]) -> set[DiffId]:
        """Layers of which nothing is left to hold them when all of `holders` are gone."""
        gone = Counter(layer for holder in holders for layer in set(self._held_by.get(holder, ())))
        return {layer for layer, held in gone.items() if self._holders[layer] == held and self._sizes.get(layer, 0)}

    def _share(self, candidate: Candidate) -> Counter[DiffId]:
        return Counter(layer for holder in candidate.holders for layer in set(self._held_by.get(holder, ())))
