"""A Dockerfile error with its place: file, line and an excerpt, as BuildKit prints them."""

from corten.errors import Invalid

AROUND = 2


def excerpt(source: str, name: str, start: int, end: int) -> str:
    """The lines around [start, end] (1-based) with `>>>` marks, as BuildKit prints them; "" for lines that are not there."""
    lines = source.replace("\r\n", "\n").split("\n")
    if not 1 <= start <= len(lines):
        return ""
    first, last = _around(start, min(end, len(lines)), len(lines))
    shown = [f"{name}:{start}", "--------------------"]
    for number in range(first, last + 1):
        mark = ">>>" if start <= number <= end else "   "
        shown.append(f" {number:3} | {mark} {lines[number - 1]}")
    return "\n".join([*shown, "--------------------"])


def _around(first: int, last: int, count: int) -> tuple[int, int]:
    """BuildKit's way to choose how much is shown (solver/errdefs/source.go): the more at one end, the less is there at the other."""
    wanted, shown = (2 * AROUND if first == last else AROUND), 0
    while shown < wanted:
        if first > 1:
            first -= 1
            shown += 1
        if last != count:
            last += 1
            shown += 1
        shown += 1
    return first, last


class DockerfileError(Invalid):
    """`line` is 1-based, 0 when it is about the whole file. All messages but `plain` ones name the line first."""

    def __init__(self, message: str, *, line: int, end: int | None = None, hint: str | None = None, plain: bool = False) -> None:
        super().__init__(message if plain else f"dockerfile parse error on line {line}: {message}", reason="dockerfile", hint=hint)
        self.line = line
        self.end = end or line
        self.detail = message
