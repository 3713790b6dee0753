"""`prune` in all its forms: what nothing uses is removed, after a question unless -f is given."""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER
from corten.cli.options.quantities import BYTES
from corten.cli.output.units import human_size
from corten.cli.session import Action, Session
from corten.client.api import filters_query

QUESTION = "Are you sure you want to continue? [y/N] "
Pairs = Sequence[tuple[str, str]]
Json = Mapping[str, Any]

FORCE = Flag("force", BOOL, "Do not ask", short="f")
FILTERS = Flag("filter", FILTER, "Only those that match (name=value)")


def agreed(session: Session, values: Values, warning: str) -> bool:
    """Whether to go on: -f, or a yes to the question."""
    if values.on("force"):
        return True
    session.out.write(f"WARNING! {warning}\n{QUESTION}")
    session.out.flush()
    answer = session.asked()
    return answer.strip().lower() in {"y", "yes"}


def _filters(session: Session, values: Values) -> list[tuple[str, str]]:
    """--filter and the configuration's pruneFilters; what the command line says about a label goes first."""
    given: list[tuple[str, str]] = values.items("filter")
    configured = [str(f).partition("=") for f in session.config.content().get("pruneFilters") or ()]
    extra = [(name, value) for name, _, value in configured if (name, value) not in given and not _contradicts(given, name, value)]
    return [*given, *extra]


def _contradicts(given: Pairs, name: str, value: str) -> bool:
    opposite = {"label": "label!", "label!": "label"}.get(name)
    return opposite is not None and (opposite, value) in given


def prune_containers(session: Session, filters: Pairs) -> int:
    report = session.api.post("/containers/prune", filters_query(filters))
    _list(session, "Deleted Containers:", report.get("ContainersDeleted"))
    return int(report.get("SpaceReclaimed") or 0)


def prune_networks(session: Session, filters: Pairs) -> int:
    report = session.api.post("/networks/prune", filters_query(filters))
    _list(session, "Deleted Networks:", report.get("NetworksDeleted"))
    return 0


def prune_volumes(session: Session, filters: Pairs) -> int:
    report = session.api.post("/volumes/prune", filters_query(filters))
    _list(session, "Deleted Volumes:", report.get("VolumesDeleted"))
    return int(report.get("SpaceReclaimed") or 0)


def prune_images(session: Session, filters: Pairs, *, every: bool) -> int:
    report = session.api.post("/images/prune", filters_query([*filters, ("dangling", "false" if every else "true")]))
    entries = report.get("ImagesDeleted") or ()
    lines = [f"untagged: {e['Untagged']}" if e.get("Untagged") else f"deleted: {e['Deleted']}" for e in entries]
    _list(session, "Deleted Images:", lines)
    return int(report.get("SpaceReclaimed") or 0)


def prune_build_cache(session: Session, filters: Pairs, *, every: bool, keep: int = 0) -> int:
    query = {**filters_query(filters), **({"all": "1"} if every else {}), **({"keep-storage": str(keep)} if keep else {})}
    report = session.api.post("/build/prune", query)
    _list(session, "Deleted build cache objects:", report.get("CachesDeleted"))
    return int(report.get("SpaceReclaimed") or 0)


def _list(session: Session, title: str, items: Sequence[str] | None) -> None:
    if items:
        session.say("\n".join([title, *items, ""]))


def _total(session: Session, size: int) -> int:
    session.say(f"Total reclaimed space: {human_size(size)}")
    return 0


def containers(session: Session, values: Values, arguments: list[str]) -> int:
    if not agreed(session, values, "This will remove all stopped containers."):
        return 0
    return _total(session, prune_containers(session, _filters(session, values)))


def networks(session: Session, values: Values, arguments: list[str]) -> int:
    if agreed(session, values, "This will remove all custom networks not used by at least one container."):
        prune_networks(session, _filters(session, values))
    return 0


def volumes(session: Session, values: Values, arguments: list[str]) -> int:
    every = values.on("all")
    which = "all local volumes" if every else "anonymous local volumes"
    if not agreed(session, values, f"This will remove {which} not used by at least one container."):
        return 0
    return _total(session, prune_volumes(session, [*_filters(session, values), *([("all", "true")] if every else [])]))


def images(session: Session, values: Values, arguments: list[str]) -> int:
    every = values.on("all")
    which = "all images without at least one container associated to them" if every else "all dangling images"
    if not agreed(session, values, f"This will remove {which}."):
        return 0
    return _total(session, prune_images(session, _filters(session, values), every=every))


def build_cache(session: Session, values: Values, arguments: list[str]) -> int:
    every = values.on("all")
    which = "all build cache" if every else "all dangling build cache"
    if not agreed(session, values, f"This will remove {which}."):
        return 0
    return _total(session, prune_build_cache(session, values.items("filter"), every=every, keep=values.number("keep-storage")))


def system(session: Session, values: Values, arguments: list[str]) -> int:
    every, filters = values.on("all"), _filters(session, values)
    if not agreed(session, values, _system_warning(every=every, with_volumes=values.on("volumes"), filters=filters)):
        return 0
    size = prune_containers(session, filters)
    prune_networks(session, filters)
    if values.on("volumes"):
        size += prune_volumes(session, [f for f in filters if f[0] != "until"])
    size += prune_images(session, filters, every=every)
    size += prune_build_cache(session, [f for f in filters if f[0] == "until"], every=every)
    return _total(session, size)


def _system_warning(*, every: bool, with_volumes: bool, filters: Pairs) -> str:
    what = [
        "all stopped containers",
        "all networks not used by at least one container",
        *(["all anonymous volumes not used by at least one container"] if with_volumes else []),
        "all images without at least one container associated to them" if every else "all dangling images",
        "all build cache" if every else "unused build cache",
    ]
    lines = ["This will remove:", *(f"  - {w}" for w in what), ""]
    if filters:
        lines += ["  Items to be pruned will be filtered with:", *(f"  - {name}={value}" for name, value in filters), ""]
    return "\n".join(lines)


CONTAINERS = Action(containers, (FILTERS, FORCE))
NETWORKS = Action(networks, (FILTERS, FORCE))
VOLUMES = Action(volumes, (Flag("all", BOOL, "Named volumes too", short="a"), FILTERS, FORCE))
IMAGES = Action(images, (Flag("all", BOOL, "All images that no container uses, not only dangling ones", short="a"), FILTERS, FORCE))
BUILD_CACHE = Action(
    build_cache,
    (
        Flag("all", BOOL, "All of it, not only what is dangling", short="a"),
        FILTERS,
        FORCE,
        Flag("keep-storage", BYTES, "So much may stay"),
    ),
)
SYSTEM = Action(
    system,
    (
        Flag("all", BOOL, "All images that no container uses, not only dangling ones", short="a"),
        FILTERS,
        FORCE,
        Flag("volumes", BOOL, "Anonymous volumes too"),
    ),
)
