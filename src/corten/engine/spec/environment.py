"""The environment of a process: the engine's variables, then the container's, in Docker's order."""

from collections.abc import Sequence

from corten.oci.defaults import DEFAULT_PATH


def container_environment(hostname: str, own: Sequence[str], *, tty: bool, home: str, links: Sequence[str] = ()) -> list[str]:
    """PATH, HOSTNAME, with a terminal TERM, `links`; `own` (image's and user's, merged) over these; HOME last where nobody set one.

    HOME is what runc adds; here it is part of the spec, so that any runtime gives the same.
    """
    defaults = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={hostname}"]
    if tty:
        defaults.append("TERM=xterm")
    defaults += links
    environment = replace_or_append(defaults, own)
    if not any(entry.startswith("HOME=") and entry != "HOME=" for entry in environment):
        environment = [entry for entry in environment if entry != "HOME="]
        environment.append(f"HOME={home}")
    return environment


def replace_or_append(defaults: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """`defaults` with `overrides` put in their places or behind them; one without "=" takes the variable away.

    Of several settings of one variable the last holds, as with runc; a program would see the first.
    """
    found = list(defaults)
    places = {entry.partition("=")[0]: index for index, entry in enumerate(found)}
    removed = set()
    for entry in overrides:
        name, equals, _ = entry.partition("=")
        place = places.setdefault(name, len(found))
        if place == len(found):
            found.append(entry)
        found[place] = entry
        if equals:
            removed.discard(place)
        else:
            removed.add(place)
    return [entry for index, entry in enumerate(found) if index not in removed]
