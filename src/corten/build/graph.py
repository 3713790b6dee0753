"""The stages of a Dockerfile and how they hang together: names, needs, the way back to an image."""

from collections.abc import Iterator

from corten.build.dockerfile import instructions as ins
from corten.build.dockerfile.errors import DockerfileError
from corten.errors import Invalid


class Graph:
    """Names are compared without case; a number counts stages from 0."""

    def __init__(self, file: ins.Dockerfile, contexts: frozenset[str] = frozenset()) -> None:
        """`contexts` are the names of `--build-context`, which stand before stages and images."""
        self._stages = file.stages
        self._contexts = contexts
        self._by_name: dict[str, list[int]] = {}
        for stage in file.stages:
            if stage.name:
                self._by_name.setdefault(stage.name, []).append(stage.index)

    def target(self, wanted: str) -> ins.Stage:
        """Raises Invalid."""
        if not wanted:
            return self._stages[-1]
        found = self.find(wanted, len(self._stages))
        if found is None:
            raise Invalid(f'target stage "{wanted}" could not be found', reason="no-such-stage")
        return found

    def find(self, name: str, before: int) -> ins.Stage | None:
        """By name or number, among the stages before number `before`; the last of that name."""
        if name in self._contexts:
            return None
        for index in reversed(self._by_name.get(name.lower(), ())):
            if index < before:
                return self._stages[index]
        if name.isdecimal() and len(name) < 6 and int(name) < before:
            return self._stages[int(name)]
        return None

    def needed(self, target: ins.Stage) -> list[ins.Stage]:
        """Every stage that `target` needs, first ones first. Raises DockerfileError for one that needs itself."""
        found: dict[int, ins.Stage] = {}
        pending = [target]
        while pending:
            stage = pending.pop()
            found[stage.index] = stage
            for name, place in _needs(stage):
                below = self.find(name, stage.index)
                if place and below is None and stage.name and name.lower() == stage.name and name not in self._contexts:
                    text = f"circular dependency detected on stage: {stage.name}"
                    raise DockerfileError(text, line=place.start, end=place.end, plain=True)
                if below is not None and below.index not in found:
                    pending.append(below)
        return [found[index] for index in sorted(found)]


def _needs(stage: ins.Stage) -> Iterator[tuple[str, ins.SourceLocation | None]]:
    """The names behind FROM, `--from` and `from=` in a stage, and where steps say them."""
    yield stage.base.image, None
    for step in stage.steps:
        if isinstance(step, ins.Copy) and step.from_:
            yield step.from_, step.place
        elif isinstance(step, ins.Run):
            yield from ((mount.options["from"], step.place) for mount in step.mounts if mount.options.get("from"))


def binds_context(file: ins.Dockerfile) -> bool:
    """Whether a RUN has the context, or a part of it, mounted."""
    runs = (step for stage in file.stages for step in stage.steps if isinstance(step, ins.Run))
    return any(mount.type == "bind" and "from" not in mount.options for run in runs for mount in run.mounts)
