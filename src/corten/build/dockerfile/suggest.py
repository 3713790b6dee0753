"""What somebody may have meant: the nearest of some words, as BuildKit chooses it (fewer than three letters away)."""

from collections.abc import Iterable

FAR = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """ "" when none is near. Case counts for nothing."""
    best, found = FAR, ""
    for candidate in known:
        away = distance(word.lower(), candidate.lower(), best)
        if away < best:
            best, found = away, candidate
    return found


def distance(a: str, b: str, limit: int = 1 << 30) -> int:
    """Levenshtein's; `limit` when it is at least that."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return min(row[-1], limit)
