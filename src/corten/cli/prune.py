"""`prune` in all its forms: what nothing uses is removed, after a question unless -f is given."""

from collections.abc import Mapping, Sequence
from typing import Any

from corten.cli.build.unsupported import check_builder
from corten.cli.cleanup.beyond import DRY_RUN, FORCE_PROTECTED, FORCED, INCLUDE_MODELS, ask_dry_run, tell_dry_run, tell_kept, tell_trashed
from corten.cli.errors import Failure
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL, FILTER, STRING
from corten.cli.options.quantities import BYTES
from corten.cli.session import Action, Session
from corten.client.api import filters_query
from corten.units import human_size

QUESTION = "Are you sure you want to continue? [y/N] "
Pairs = Sequence[tuple[str, str]]
Json = Mapping[str, Any]

KEEP_MODELS = {"Corten-Keep-Models": "1"}
"""The header of Corten's own prune. Docker's API keeps Docker's meaning without it."""
SYSTEM_KINDS = ("container", "network", "volume", "image", "build-cache")
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


class Reports:
    """The engine's answers to one prune, of one kind or of several."""

    def __init__(self, session: Session, values: Values) -> None:
        self._session = session
        self._forced = FORCED if values.on("force-protected") else {}
        self._models = {} if values.given("include-models") and values.on("include-models") else KEEP_MODELS
        self.all: list[Json] = []

    def containers(self, filters: Pairs) -> None:
        self._post("/containers/prune", filters_query(filters))

    def networks(self, filters: Pairs) -> None:
        self._post("/networks/prune", filters_query(filters))

    def volumes(self, filters: Pairs) -> None:
        query = {**filters_query(filters), **self._forced}
        self.show(self._session.api.call("POST", "/volumes/prune", query, headers=self._models).json())

    def images(self, filters: Pairs, *, every: bool) -> None:
        self._post("/images/prune", filters_query([*filters, ("dangling", "false" if every else "true")]))

    def build_cache(self, filters: Pairs, *, every: bool, keep: int = 0, room: Mapping[str, str] | None = None) -> None:
        query = {**filters_query(filters), **({"all": "1"} if every else {}), **(room or {})}
        if keep:
            query["keep-storage"] = str(keep)
        self.show(self._session.api.post("/build/prune", query))

    def dry_run(self, filters: Pairs, *kinds: str, **members: Any) -> int:
        """What all this would have answered; nothing is removed."""
        table: dict[str, list[str]] = {}
        for name, value in filters:
            table.setdefault(name, []).append(value)
        body = {"Kinds": kinds, "Filters": table, "ForceProtected": bool(self._forced), "KeepModels": bool(self._models), **members}
        found = ask_dry_run(self._session, "prune", body)
        for kind in ("Containers", "Networks", "Volumes", "Images", "BuildCache"):
            if found.get(kind) is not None:
                self.show(found[kind])
        return self.end(total=kinds != ("network",), dry=True)

    def show(self, report: Json) -> None:
        self.all.append(report)
        for title, key in _TITLES:
            items = report.get(key)
            if items:
                lines = [i if isinstance(i, str) else _image_line(i) for i in items]
                self._session.say("\n".join([title, *lines, ""]))

    def end(self, *, total: bool = True, dry: bool = False) -> int:
        if total:
            size = sum(int(report.get("SpaceReclaimed") or 0) for report in self.all)
            self._session.say(f"Total reclaimed space: {human_size(size)}")
        tell_kept(self._session, self.all)
        if dry:
            tell_dry_run(self._session)
        else:
            tell_trashed(self._session, self.all)
        return 0

    def _post(self, path: str, query: dict[str, str]) -> None:
        self.show(self._session.api.post(path, {**query, **self._forced}))


_TITLES = (
    ("Deleted Containers:", "ContainersDeleted"),
    ("Deleted Networks:", "NetworksDeleted"),
    ("Deleted Volumes:", "VolumesDeleted"),
    ("Deleted Images:", "ImagesDeleted"),
    ("Deleted build cache objects:", "CachesDeleted"),
)


def _image_line(entry: Json) -> str:
    return f"untagged: {entry['Untagged']}" if entry.get("Untagged") else f"deleted: {entry['Deleted']}"


def containers(session: Session, values: Values, arguments: list[str]) -> int:
    reports, filters = Reports(session, values), _filters(session, values)
    if values.on("dry-run"):
        return reports.dry_run(filters, "container")
    if not agreed(session, values, "This will remove all stopped containers."):
        return 0
    reports.containers(filters)
    return reports.end()


def networks(session: Session, values: Values, arguments: list[str]) -> int:
    reports, filters = Reports(session, values), _filters(session, values)
    if values.on("dry-run"):
        return reports.dry_run(filters, "network")
    if not agreed(session, values, "This will remove all custom networks not used by at least one container."):
        return 0
    reports.networks(filters)
    return reports.end(total=False)


def volumes(session: Session, values: Values, arguments: list[str]) -> int:
    every = values.on("all")
    reports, filters = Reports(session, values), _filters(session, values)
    if values.on("dry-run"):
        return reports.dry_run(filters, "volume", AllVolumes=every)
    which = "all local volumes" if every else "anonymous local volumes"
    if not agreed(session, values, f"This will remove {which} not used by at least one container."):
        return 0
    reports.volumes([*filters, *([("all", "true")] if every else [])])
    return reports.end()


def images(session: Session, values: Values, arguments: list[str]) -> int:
    every = values.on("all")
    reports, filters = Reports(session, values), _filters(session, values)
    if values.on("dry-run"):
        return reports.dry_run(filters, "image", All=every)
    which = "all images without at least one container associated to them" if every else "all dangling images"
    if not agreed(session, values, f"This will remove {which}."):
        return 0
    reports.images(filters, every=every)
    return reports.end()


def build_cache(session: Session, values: Values, arguments: list[str]) -> int:
    check_builder(values.text("builder"))
    every, keep = values.on("all"), values.number("reserved-space") or values.number("keep-storage")
    reports = Reports(session, values)
    room = {flag: str(values.number(flag)) for flag in ("max-used-space", "min-free-space") if values.number(flag)}
    if values.on("dry-run") and room:
        raise Failure(f"--dry-run does not know what --{next(iter(room))} would leave", 1)
    if values.on("dry-run"):
        return reports.dry_run(values.items("filter"), "build-cache", All=every, KeepStorage=keep)
    which = "all build cache" if every else "all dangling build cache"
    if not agreed(session, values, f"This will remove {which}."):
        return 0
    reports.build_cache(values.items("filter"), every=every, keep=keep, room=room)
    return reports.end()


def system(session: Session, values: Values, arguments: list[str]) -> int:
    every, filters = values.on("all"), _filters(session, values)
    if values.on("volumes") and any(name == "until" for name, _ in filters):
        raise Failure('ERROR: The "until" filter is not supported with "--volumes"', 1)
    reports = Reports(session, values)
    if values.on("dry-run"):
        kinds = [kind for kind in SYSTEM_KINDS if kind != "volume" or values.on("volumes")]
        return reports.dry_run(filters, *kinds, All=every)
    if not agreed(session, values, _system_warning(every=every, with_volumes=values.on("volumes"), filters=filters)):
        return 0
    reports.containers(filters)
    reports.networks(filters)
    if values.on("volumes"):
        reports.volumes([f for f in filters if f[0] != "until"])
    reports.images(filters, every=every)
    reports.build_cache([f for f in filters if f[0] == "until"], every=every)
    return reports.end()


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


MANNER = (DRY_RUN, FILTERS, FORCE, FORCE_PROTECTED)
CONTAINERS = Action(containers, MANNER)
NETWORKS = Action(networks, MANNER)
VOLUMES = Action(volumes, (Flag("all", BOOL, "Named volumes too", short="a"), *MANNER, INCLUDE_MODELS))
IMAGES = Action(images, (Flag("all", BOOL, "All images that no container uses, not only dangling ones", short="a"), *MANNER))
BUILD_CACHE = Action(
    build_cache,
    (
        Flag("all", BOOL, "All of it, not only what is dangling", short="a"),
        *MANNER,
        Flag("builder", STRING, "Ignored, for compatibility with Docker").hide(),
        Flag("keep-storage", BYTES, "So much may stay"),
        Flag("max-used-space", BYTES, "So much may stay at most"),
        Flag("min-free-space", BYTES, "So much of the disk is to be free"),
        Flag("reserved-space", BYTES, "So much may stay in any case"),
        Flag("verbose", BOOL, "Ignored, for compatibility with Docker").hide(),
    ),
)
SYSTEM = Action(
    system,
    (
        Flag("all", BOOL, "All images that no container uses, not only dangling ones", short="a"),
        *MANNER,
        INCLUDE_MODELS,
        Flag("volumes", BOOL, "Anonymous volumes too"),
    ),
)
