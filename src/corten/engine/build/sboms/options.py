"""Options of `--sbom`, and the roots that are scanned: the result, and what `BUILDKIT_SBOM_SCAN_STAGE` and `_CONTEXT` add."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from corten.build.files.tree import Tree
from corten.build.imagestate import SCAN_CONTEXT, SCAN_STAGE
from corten.build.solve import SolveResult
from corten.errors import Invalid
from corten.ids import DiffId
from corten.units import FALSE, TRUE

CORE = "sbom"
"""BuildKit's name of the result; the others are `sbom-NAME`."""


@dataclass(frozen=True, slots=True)
class SbomOptions:
    """`generator` is an image, "" for our own inventory. `parameters` go to it as BUILDKIT_SCAN_NAME."""

    generator: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScanTarget:
    """A root to be scanned: a stack of layers, or the files of the context."""

    name: str
    layers: tuple[DiffId, ...] = ()
    tree: Tree | None = None


def read_sbom_options(fields: Mapping[str, str]) -> SbomOptions | None:
    """The fields of `--sbom`; None for no fields. Raises Invalid."""
    if not fields or fields.get("disabled", "").lower() in ("true", "1"):
        return None
    rest = {name.upper(): value for name, value in fields.items() if name not in ("generator", "disabled", "enabled")}
    if bad := next((name for name in rest if not name.replace("_", "").isalnum() or "\0" in rest[name]), ""):
        raise Invalid(f"invalid parameter {bad!r} of --sbom", reason="bad-sbom")
    return SbomOptions(fields.get("generator", ""), rest)


def scan_targets(result: SolveResult, globals_: Mapping[str, str], context: Tree | None) -> list[ScanTarget]:
    """The result first. `globals_` are the ARGs before the first FROM, which hold for every stage that says nothing else."""
    extras = []
    state, own = result.state, result.names[result.target]
    if context is not None and _is_on(state.args.get(SCAN_CONTEXT) or globals_.get(SCAN_CONTEXT, ""), own):
        extras.append(ScanTarget(f"{CORE}-context", tree=context))
    for index, stage in result.stages.items():
        name = result.names[index]
        if index != result.target and _is_on(stage.args.get(SCAN_STAGE) or globals_.get(SCAN_STAGE, ""), name):
            extras.append(ScanTarget(f"{CORE}-{name}", stage.layers))
    return [ScanTarget(CORE, state.layers), *sorted(extras, key=lambda one: one.name)]


def _is_on(value: str, stage: str) -> bool:
    """A boolean as Go reads it, or the names of stages."""
    if value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    return stage in value.split(",")
