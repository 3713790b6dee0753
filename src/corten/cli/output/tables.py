"""Text in columns, as Go's tabwriter aligns it for Docker: three spaces between columns, none narrower than ten."""

from collections.abc import Sequence

NARROWEST = 10
PADDING = 3


def aligned(lines: Sequence[str], *, narrowest: int = NARROWEST, padding: int = PADDING) -> list[str]:
    """Lines whose tabs are replaced by spaces. A column is a run of lines that have a tab there; text behind the last tab is free."""
    rows = [line.split("\t") for line in lines]
    widths = [[0] * (len(row) - 1) for row in rows]
    for column in range(max((len(w) for w in widths), default=0)):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and len(widths[end]) > column:
                end += 1
            if end > start:
                width = max(narrowest, padding + max(len(rows[i][column]) for i in range(start, end)))
                for i in range(start, end):
                    widths[i][column] = width
            start = end + 1 if end == start else end
    return [
        "".join([*(cell.ljust(w) for cell, w in zip(row, wide, strict=False)), row[-1]]) for row, wide in zip(rows, widths, strict=True)
    ]
