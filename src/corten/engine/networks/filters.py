"""Which networks a list shows: Docker's filters."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from corten.engine.filters import has_labels
from corten.engine.networks.network import Network
from corten.errors import Invalid

_TRUE, _FALSE = frozenset(("1", "true")), frozenset(("0", "false"))
FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")


def _matches(pattern: str, text: str) -> bool:
    """A regular expression that may match anywhere, or the text itself."""
    try:
        return pattern == text or re.search(pattern, text) is not None
    except re.error:
        return False


_MATCHERS: Mapping[str, Callable[[Network, Sequence[str]], bool]] = {
    "driver": lambda network, values: network.driver in values,
    "id": lambda network, values: any(network.id.startswith(value) for value in values),
    "label": lambda network, values: has_labels(network.labels, values),
    "name": lambda network, values: any(_matches(value, network.name) for value in values),
    "scope": lambda _, values: "local" in values,
    "type": lambda network, values: ("builtin" if network.is_predefined else "custom") in values,
}


def select(networks: Collection[Network], filters: Mapping[str, Sequence[str]], *, used: Callable[[Network], bool]) -> list[Network]:
    """`used`: a running container is on it (`dangling`). Raises Invalid for a bad value."""
    for value in filters.get("type", ()):
        if value not in ("custom", "builtin"):
            raise Invalid(f"invalid filter: 'type'='{value}'", reason="bad-filter")
    dangling = filters.get("dangling", ())
    if any(value.lower() not in _TRUE | _FALSE for value in dangling):
        raise Invalid('invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")', reason="bad-filter")
    chosen = [n for n in networks if all(_MATCHERS[kind](n, values) for kind, values in filters.items() if values and kind in _MATCHERS)]
    if not dangling:
        return chosen
    wanted = dangling[0].lower() in _TRUE
    return [n for n in chosen if not n.is_predefined and used(n) is not wanted]
