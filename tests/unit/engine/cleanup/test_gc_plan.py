"""The plan of garbage collection: order, reasons, and that nothing goes that may not, nothing that is not needed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from corten.engine.cleanup.gc.plan import ENOUGH, ORDER, Candidate, CandidateKind, GcPlan, LayerHolders, make_plan
from corten.gcpolicy import GcPolicy
from corten.ids import DiffId

NOW = 10**18
HOUR = 3600 * 10**9
POLICY = GcPolicy(keep=3600)


def one(kind: CandidateKind, name: str, *, age: int = 2 * HOUR, layers: bool = True, **more: Any) -> Candidate:
    return Candidate(kind=kind, id=name, name=name, used=NOW - age, holders=frozenset((name,) if layers else ()), **more)


def layered(**held: str) -> LayerHolders:
    """Layers are letters; each has 10 bytes."""
    return LayerHolders(
        {DiffId(letter): 10 for letter in "abcdefgh"}, {name: [DiffId(letter) for letter in text] for name, text in held.items()}
    )


def plan(candidates: Sequence[Candidate], held: LayerHolders, *, wanted: int = 10**6, policy: GcPolicy = POLICY) -> GcPlan:
    return make_plan(candidates, held, policy, wanted=wanted, now=NOW)


def went(made: GcPlan) -> list[tuple[str, int]]:
    return [(verdict.candidate.name, verdict.size) for verdict in made.going]


def why(made: GcPlan) -> dict[str, str]:
    return {verdict.candidate.name: verdict.why for verdict in made.staying}


def test_kinds_go_in_order_and_the_longest_unused_first() -> None:
    candidates = [
        one("own-image", "mine"),
        one("image", "young"),
        one("image", "old", age=9 * HOUR),
        one("dangling", "nameless"),
        one("build-cache", "pip", own=5, layers=False, age=99 * HOUR, last=True),
        one("build-cache", "tmp", own=5, layers=False),
        one("trash", "removed", own=7, layers=False, age=0),
    ]
    held = layered(mine="a", young="b", old="c", nameless="d")
    order = [("removed", 7), ("tmp", 5), ("pip", 5), ("nameless", 10), ("old", 10), ("young", 10), ("mine", 10)]
    assert went(plan(candidates, held)) == order
    assert went(plan(candidates, held, wanted=12)) == order[:2]
    assert why(plan(candidates, held, wanted=12)) == dict.fromkeys(["pip", "nameless", "old", "young", "mine"], ENOUGH)
    assert went(plan(candidates, held, wanted=0)) == []
    assert went(plan(candidates, held, policy=GcPolicy())) == order[:1]


def test_what_speaks_against_it_is_said() -> None:
    candidates = [
        one("image", "used", spared="container web needs it"),
        one("image", "base:1", names=("base",)),
        one("image", "fresh", age=HOUR // 2),
        one("image", "shared"),
        one("trash", "kept", own=1, layers=False),
    ]
    held = layered(used="ab", **{"base:1": "c"}, fresh="d", shared="a")
    made = plan(candidates, held, policy=replace(POLICY, pin=("base", "k*t")))
    assert went(made) == []
    assert why(made) == {
        "used": "container web needs it",
        "base:1": "pinned by base",
        "fresh": "used within 1h",
        "shared": "nothing would come back: others need its layers",
        "kept": "pinned by k*t",
    }
    assert "keep is not set" in why(plan(candidates, held, policy=GcPolicy()))["shared"]


def test_layers_count_when_their_last_holder_goes() -> None:
    candidates = [one("image", "first", age=9 * HOUR), one("image", "second")]
    held = layered(first="ab", second="bc", other="c")
    assert went(plan(candidates, held)) == [("first", 10), ("second", 10)]


def test_build_cache_goes_with_the_image_that_has_its_layers_or_stays_with_it() -> None:
    steps = [one("build-cache", name) for name in ("s1", "s2", "lone")]
    held = layered(s1="a", s2="b", lone="c", image="ab", fresh="b")
    assert went(plan([*steps, one("image", "image")], held)) == [("lone", 10), ("s1", 0), ("image", 10)]
    both = [*steps, one("image", "image"), one("image", "fresh")]
    assert went(plan(both, held)) == [("lone", 10), ("s1", 0), ("image", 10), ("s2", 0), ("fresh", 10)]
    assert went(plan([*steps, one("image", "image", age=0)], held)) == [("lone", 10)]


CANDIDATES = st.lists(
    st.tuples(st.sampled_from(ORDER), st.integers(0, 4), st.text("abcdefgh", max_size=4), st.integers(0, 3), st.booleans()), max_size=8
)


@given(CANDIDATES, st.lists(st.text("abcdefgh", max_size=3), max_size=2), st.integers(-5, 90))
def test_never_more_than_is_needed_and_the_figures_are_true(
    made: list[tuple[CandidateKind, int, str, int, bool]], others: list[str], wanted: int
) -> None:
    candidates = [
        one(kind, f"c{n}", age=age * HOUR, own=own, spared="spared" if spared else "") for n, (kind, age, _, own, spared) in enumerate(made)
    ]
    held = layered(**{f"c{n}": text for n, (_, _, text, _, _) in enumerate(made)}, **{f"o{n}": text for n, text in enumerate(others)})
    result = plan(candidates, held, wanted=wanted)
    assert {v.candidate.name for v in (*result.going, *result.staying)} == {c.name for c in candidates}
    assert len(result.going) + len(result.staying) == len(candidates)
    gone = {verdict.candidate.name for verdict in result.going}
    for verdict in result.going:
        assert not verdict.candidate.spared
        assert verdict.candidate.kind == "trash" or verdict.candidate.used <= NOW - HOUR
    before = {layer for layers in held.held_by.values() for layer in layers}
    after = {layer for name, layers in held.held_by.items() if name not in gone for layer in layers}
    own = sum(candidate.own for candidate in candidates if candidate.name in gone)
    assert result.freed == 10 * len(before - after) + own
    if result.going:
        *earlier, last = result.going
        assert sum(verdict.size for verdict in earlier) < wanted
        assert last.size > 0 or result.freed < wanted
