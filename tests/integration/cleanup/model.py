"""What volumes, images, containers and the trash should be after an operation, and what they may be when it was cut short.

A state flattens to facts. Whatever an operation does not touch must be there byte for byte; what it touches is either as before or as
after it; and no content is ever in two places or, unless the operation lets it go, in none.
"""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

VOLUMES = ("va", "vb", "vc", "vd")
IMAGES = ("app:a", "app:b", "app:c")
CONTAINERS = ("c1", "c2", "c3")
EMPTY = "empty"
Op = tuple[str, ...]
"""A verb and its arguments: what player and model agree on."""
Tree = dict[str, bytes]
Fact = tuple[str, ...]


def tree_of(seed: str) -> Tree:
    """Some files; one of them is large enough to be copied in pieces."""
    noise = random.Random(seed)
    files = {f"d{n % 3}/f{n}": noise.randbytes(noise.randrange(1, 3000)) for n in range(noise.randrange(1, 12))}
    return files | {"large": noise.randbytes(60_000)}


def digest_of(tree: Tree) -> str:
    whole = hashlib.sha256()
    for name in sorted(tree):
        whole.update(f"{name}\0{len(tree[name])}\0".encode() + tree[name])
    return whole.hexdigest()[:16] if tree else EMPTY


def digest_on_disk(folder: Path) -> str:
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            found[str(path.relative_to(folder))] = path.read_bytes()
    return digest_of(found)


@dataclass(frozen=True)
class Volume:
    content: str = EMPTY
    said: str = "None"


@dataclass(frozen=True)
class Trashed:
    kind: str
    name: str
    content: str
    said: str = "None"


@dataclass(frozen=True)
class Container:
    image: str
    volume: str
    protected: bool


@dataclass(frozen=True)
class State:
    """`images` are the tags that are there: each means one image. `trash`: longest there first."""

    volumes: dict[str, Volume] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    containers: dict[str, Container] = field(default_factory=dict)
    trash: tuple[Trashed, ...] = ()

    def users(self, volume: str) -> set[str]:
        return {name for name, container in self.containers.items() if container.volume == volume}

    def facts(self) -> Counter[Fact]:
        found: Counter[Fact] = Counter()
        found.update(("volume", name, v.content, v.said) for name, v in self.volumes.items())
        found.update(("image", tag) for tag in self.images)
        found.update(("container", name, c.image, c.volume, str(c.protected)) for name, c in self.containers.items())
        found.update(("trash", t.kind, t.name, t.content, t.said) for t in self.trash)
        return found

    def contents(self) -> Counter[str]:
        places = [v.content for v in self.volumes.values()] + [t.content for t in self.trash if t.kind == "volume"]
        return Counter(content for content in places if content != EMPTY)


class Refused(Exception):
    """The engine must refuse the operation."""


def after(state: State, op: Op) -> State:
    """What `op` makes of `state`. Raises Refused."""
    return _RULES[op[0]](state, *op[1:])


def check(observed: State, before: State, op: Op, *, whole: bool = False) -> None:
    """`whole`: the operation was not cut short."""
    try:
        then = after(before, op)
    except Refused:
        then = before
    old, new, seen = before.facts(), then.facts(), observed.facts()
    if whole:
        assert seen == new, f"{op}: {seen - new} too much, {new - seen} missing"
        return
    between: Counter[Fact] = Counter(("volume", name, EMPTY, "None") for name in VOLUMES if name not in before.volumes and name in op)
    assert not (old & new) - seen, f"{op}: lost {(old & new) - seen}"
    assert not seen - (old | new | between), f"{op}: made up {seen - (old | new | between)}"
    for content in before.contents().keys() | observed.contents().keys():
        least = min(before.contents()[content], then.contents()[content])
        most = max(before.contents()[content], then.contents()[content])
        assert least <= observed.contents()[content] <= most, f"{op}: content {content} is in {observed.contents()[content]} places"


def _make(state: State, name: str) -> State:
    return replace(state, volumes={name: Volume(), **state.volumes})


def _write(state: State, name: str, seed: str) -> State:
    volume = _known(state, name)
    return replace(state, volumes={**state.volumes, name: replace(volume, content=digest_of(tree_of(seed)))})


def _protect(state: State, name: str, said: str) -> State:
    volume = _known(state, name)
    return replace(state, volumes={**state.volumes, name: replace(volume, said=said)})


def _run(state: State, name: str, image: str, volume: str, protected: str) -> State:
    if name in state.containers or image not in state.images:
        raise Refused
    held = state.volumes.get(volume, Volume())
    if held.content == EMPTY:
        held = replace(held, content=digest_of(tree_of(image)))
    made = Container(image, volume, protected == "True")
    return replace(state, volumes={**state.volumes, volume: held}, containers={**state.containers, name: made})


def _remove_container(state: State, name: str) -> State:
    if name not in state.containers or state.containers[name].protected:
        raise Refused
    return replace(state, containers={n: c for n, c in state.containers.items() if n != name})


def _rm(state: State, name: str) -> State:
    if _known(state, name).said == "True" or state.users(name):
        raise Refused
    return _trashed(state, [name], [])


def _rmi(state: State, tag: str) -> State:
    if tag not in state.images or any(c.image == tag for c in state.containers.values()):
        raise Refused
    return _trashed(state, [], [tag])


def _prune_volumes(state: State) -> State:
    return _trashed(state, [n for n, v in state.volumes.items() if v.said != "True" and not state.users(n)], [])


def _prune_images(state: State) -> State:
    used = {c.image for c in state.containers.values()}
    return _trashed(state, [], [tag for tag in state.images if tag not in used])


def _prune_containers(state: State) -> State:
    return replace(state, containers={n: c for n, c in state.containers.items() if c.protected})


def _load(state: State, tag: str) -> State:
    return replace(state, images=state.images | {tag})


def _restore(state: State, name: str) -> State:
    entry = _in_trash(state, name)
    rest = _without(state.trash, entry)
    if entry.kind == "image":
        return replace(state, images=state.images | {name}, trash=rest)
    if name in state.volumes:
        raise Refused
    return replace(state, volumes={**state.volumes, name: Volume(entry.content, entry.said)}, trash=rest)


def _empty(state: State, *names: str) -> State:
    if not names:
        return replace(state, trash=())
    return replace(state, trash=_without(state.trash, _in_trash(state, names[0])))


def _known(state: State, name: str) -> Volume:
    if name not in state.volumes:
        raise Refused
    return state.volumes[name]


def _in_trash(state: State, name: str) -> Trashed:
    found = [entry for entry in state.trash if entry.name == name]
    if not found:
        raise Refused
    return found[-1]


def _without(trash: tuple[Trashed, ...], entry: Trashed) -> tuple[Trashed, ...]:
    last = max(n for n, one in enumerate(trash) if one == entry)
    return trash[:last] + trash[last + 1 :]


def _trashed(state: State, volumes: Sequence[str], images: Sequence[str]) -> State:
    gone = [Trashed("volume", name, state.volumes[name].content, state.volumes[name].said) for name in volumes]
    gone += [Trashed("image", tag, "") for tag in images]
    left = {n: v for n, v in state.volumes.items() if n not in volumes}
    return replace(state, volumes=left, images=state.images - set(images), trash=(*state.trash, *gone))


_RULES: dict[str, Callable[..., State]] = {
    "make": _make,
    "write": _write,
    "protect": _protect,
    "run": _run,
    "rm container": _remove_container,
    "rm": _rm,
    "rmi": _rmi,
    "prune volumes": _prune_volumes,
    "prune images": _prune_images,
    "prune containers": _prune_containers,
    "load": _load,
    "restore": _restore,
    "empty": _empty,
}


def some_op(moves: random.Random) -> Op:
    volume, image, container = moves.choice(VOLUMES), moves.choice(IMAGES), moves.choice(CONTAINERS)
    seed = str(moves.randrange(1 << 30))
    ops: list[tuple[int, Op]] = [
        (3, ("make", volume)),
        (6, ("write", volume, seed)),
        (1, ("protect", volume, str(moves.random() < 0.5))),
        (6, ("run", container, image, volume, str(moves.random() < 0.1))),
        (3, ("rm container", container)),
        (5, ("rm", volume)),
        (3, ("rmi", image)),
        (2, ("prune volumes",)),
        (1, ("prune images",)),
        (1, ("prune containers",)),
        (4, ("load", image)),
        (6, ("restore", moves.choice((*VOLUMES, *IMAGES)))),
        (1, ("empty",)),
        (2, ("empty", moves.choice((*VOLUMES, *IMAGES)))),
    ]
    return moves.choices([op for _, op in ops], [weight for weight, _ in ops])[0]
