"""`build --platform a,b`: a build for each, where the results can lie side by side. An index of them is not made."""

from collections.abc import Callable, Sequence

from corten.cli.build.outputs import read_outputs
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.references import normalized_platform


def build_each(values: Values, flags: Sequence[Flag], where: str, build: Callable[[Values], int]) -> int:
    """`build` is called for each platform. Raises Failure for results that would need an index, before anything is built."""
    platforms = dict.fromkeys(normalized_platform(text) for text in values.text("platform").split(","))
    if len(platforms) > 1:
        _check(values, where)
        values.record(_named(flags, "build-arg"), "BUILDKIT_MULTI_PLATFORM=1")
    for platform in platforms:
        values.record(_named(flags, "platform"), platform)
        if status := build(values):
            return status
    return 0


def _named(flags: Sequence[Flag], name: str) -> Flag:
    return next(flag for flag in flags if flag.name == name)


def _check(values: Values, where: str) -> None:
    outputs = read_outputs(values.texts("output"), push=values.on("push"), load=values.on("load"))
    if any(output.kind != "local" for output in outputs):
        hint = "hint: `-o FOLDER` takes several; else build each with a tag of its own"
        raise Failure(f"ERROR: --platform with several platforms is not supported for images: Corten makes no index of them\n{hint}")
    if where == "-":
        raise Failure("ERROR: --platform with several platforms is not supported for a context from stdin, which is read once")
    for flag in ("iidfile", "metadata-file"):
        if values.given(flag):
            raise Failure(f"ERROR: --{flag} tells of one image, and --platform of several")
