"""A Dockerfile error with its place: file, line and an excerpt, as BuildKit prints them."""

from corten.errors import Invalid

AROUND = 2


def excerpt(source: str, name: str, start: int, end: int) -> str:
    """The lines around [start, end] (1-based) with `>>>` marks, as BuildKit's CLI shows a failing step."""
    lines = source.splitlines()
    first, last = max(1, start - AROUND), min(len(lines), end + AROUND)
    shown = [f"{name}:{start}", "--------------------"]
    for number in range(first, last + 1):
        mark = ">>>" if start <= number <= end else "   "
        shown.append(f" {number:3} | {mark} {lines[number - 1]}".rstrip())
    return "\n".join([*shown, "--------------------"])


class DockerfileError(Invalid):
    """`line` is 1-based. The message starts as BuildKit's does: `dockerfile parse error on line N: ...`."""

    def __init__(self, message: str, *, line: int, end: int | None = None, hint: str | None = None) -> None:
        super().__init__(f"dockerfile parse error on line {line}: {message}", reason="dockerfile", hint=hint)
        self.line = line
        self.end = end or line
        self.detail = message
