"""What is printed after a build: the failed step with its last lines and its location, and lint warnings."""

from collections.abc import Sequence

from corten.cli.build.status import SolveStatus, Status

RULE = "------"


def failure_text(progress: SolveStatus) -> str:
    """As BuildKit's CLI ends: the step's output, the excerpt of the Dockerfile, the message."""
    failure, parts = progress.failure, list[str]()
    vertex = progress.vertices.get(str(failure.get("vertex", "")))
    if vertex is not None:
        parts += [RULE, f" > {vertex.name}:", *vertex.lines, RULE]
    if failure.get("source"):
        parts.append(str(failure["source"]))
    parts.append(f"ERROR: failed to build: failed to solve: {failure.get('message', '')}")
    if failure.get("hint"):
        parts.append(f"hint: {failure['hint']}")
    return "\n".join(parts)


def warnings_text(warnings: Sequence[Status], *, long: bool) -> str:
    """A line for each; with `long` the whole story."""
    if not warnings:
        return ""
    count = f"{len(warnings)} warning{'s' * (len(warnings) != 1)} found"
    if not long:
        lines = [f" - {w['rule']}: {w['message']} (line {w['line']})" for w in warnings]
        return "\n".join(["", f" {count} (use --debug to expand):", *lines])
    return "\n".join(["", f" {count}:", *(f"\n{check_text(w)}" for w in warnings)])


def check_report(warnings: Sequence[Status]) -> str:
    """What `build --check` prints."""
    if not warnings:
        return "Check complete, no warnings found."
    have = "1 warning has been found!" if len(warnings) == 1 else f"{len(warnings)} warnings have been found!"
    return "\n".join([f"Check complete, {have}", *(f"\n{check_text(w)}" for w in warnings)])


def check_text(warning: Status) -> str:
    return f"WARNING: {warning['rule']} - {warning['url']}\n{warning['message']}\n{warning['excerpt']}"
