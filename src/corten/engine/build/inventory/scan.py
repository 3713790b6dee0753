"""Scans one root for an inventory."""

from collections.abc import Iterator
from itertools import islice

from corten.engine.build.inventory.libraries import is_library, library
from corten.engine.build.inventory.packages import packages, system
from corten.engine.build.inventory.python import distribution, is_distribution
from corten.engine.build.inventory.rootfs import MOST_COMPONENTS, Component, ScannedRoot
from corten.engine.build.inventory.weights import SUFFIXES, is_cache, weights


def scan(root: ScannedRoot) -> list[Component]:
    """Blocks for as long as a walk over all names takes, and reading every file of weights. The same files give the same list."""
    found = list(islice(_all(root), MOST_COMPONENTS + 1))
    if len(found) > MOST_COMPONENTS:
        root.cut.append(f"what comes after the first {MOST_COMPONENTS} things")
    return found[:MOST_COMPONENTS]


def _all(root: ScannedRoot) -> Iterator[Component]:
    yield from system(root)
    yield from packages(root)
    for folder, names in root.walk(_is_wanted):
        has_config = "config.json" in names
        for name in names:
            path = f"{folder}/{name}" if folder else name
            if (one := _one(root, path, has_config=has_config)) is not None:
                yield one


def _is_wanted(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) or is_distribution(name) or is_library(name) or name == "config.json" or _is_digest(name)


def _is_digest(name: str) -> bool:
    """As files in the Hugging Face cache are called: sha256 or git's sha1."""
    return len(name) in (40, 64) and name.isalnum()


def _one(root: ScannedRoot, path: str, *, has_config: bool) -> Component | None:
    folder, _, name = path.rpartition("/")
    if is_distribution(name):
        return distribution(root, path)
    if is_library(name):
        return library(root, path)
    if name.lower().endswith(SUFFIXES) or is_cache(folder):
        return weights(root, path, has_config=has_config)
    return None
