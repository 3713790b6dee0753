"""Which paths of the context a build can read: only these are asked of the client."""

import posixpath
from collections.abc import Callable, Iterator

from corten.build.dockerfile import instructions as ins
from corten.build.graph import Graph

EVERYTHING = ("",)


def context_paths(file: ins.Dockerfile, target: str, named: frozenset[str], may_trigger: Callable[[str], bool]) -> list[str]:
    """None when nothing of it is read; [""] for all. `may_trigger`: whether an image may bring ONBUILD instructions of its own.

    A source with a variable may be anything. Raises NotFound for a target that is not there.
    """
    graph = Graph(file, named)
    found: set[str] = set()
    for stage in graph.needed(graph.target(target)):
        base = stage.base.image
        if base != "scratch" and graph.find(base, stage.index) is None and base.lower() not in named and may_trigger(base):
            return [*EVERYTHING]
        for path in _of_stage(stage):
            clean = posixpath.normpath("/" + path).lstrip("/")
            if "$" in path or not clean:
                return [*EVERYTHING]
            found.add(clean)
    return sorted(found)


def _of_stage(stage: ins.Stage) -> Iterator[str]:
    for step in stage.steps:
        if isinstance(step, ins.Copy) and not step.from_:
            yield from step.sources
        elif isinstance(step, ins.Run):
            for mount in step.mounts:
                if mount.type == "bind" and "from" not in mount.options:
                    yield mount.options.get("source", mount.options.get("src", "/"))
        elif isinstance(step, ins.OnBuild):
            yield "/"
