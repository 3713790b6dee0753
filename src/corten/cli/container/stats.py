"""`stats`: what containers use, once or as a table that is drawn again every second."""

from collections.abc import Mapping, Sequence
from time import sleep
from typing import Any, NamedTuple

from corten.cli.fan_out import side_by_side
from corten.cli.flags import Flag, Values
from corten.cli.kinds import BOOL
from corten.cli.output.formats import LIST_FORMAT_FLAG
from corten.cli.output.listing import Column, Listing, chosen, show
from corten.cli.output.units import short_id
from corten.cli.session import Action, Session
from corten.client.api import Api
from corten.client.errors import ApiError, CannotConnect
from corten.client.urls import quoted
from corten.units import binary_size, human_size

Json = Mapping[str, Any]
HOME_AND_CLEAR = "\x1b[H\x1b[J"
PERIOD = 0.5
"""Seconds between two drawings; the engine has new figures every second."""


class Figures(NamedTuple):
    """One container's use. Bytes, except `cpu` and `memory_share`: percent. A container that does not run uses nothing."""

    asked: str
    identity: str
    name: str
    cpu: float = 0
    memory: int = 0
    limit: int = 0
    received: int = 0
    sent: int = 0
    read: int = 0
    written: int = 0
    pids: int = 0

    @property
    def memory_share(self) -> float:
        return self.memory / self.limit * 100 if self.limit else 0


def stats(session: Session, values: Values, arguments: list[str]) -> int:
    format = chosen(session, values.text("format"), "statsFormat")
    listing = stats_listing(whole=values.on("no-trunc"))
    if values.on("no-stream"):
        show(session, listing, _once(session, values, arguments), format=format)
        return 0
    screen = _Screen(session)
    while True:
        rows = _once(session, values, arguments)
        if arguments and not rows:
            return 0
        screen.draw(listing, rows, format)
        sleep(PERIOD)


class _Screen:
    """A terminal that is drawn over; anything else gets one table after another."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tty = session.out.isatty()

    def draw(self, listing: Listing, rows: Sequence[Figures], format: str) -> None:
        if self._tty:
            self._session.out.write(HOME_AND_CLEAR)
        show(self._session, listing, rows, format=format)
        self._session.out.flush()


def _once(session: Session, values: Values, arguments: Sequence[str]) -> list[Figures]:
    names = list(arguments)
    if not names:
        query = {"all": "1"} if values.on("all") else None
        names = [short_id(row["Id"]) for row in session.api.get("/containers/json", query)]
    return _gathered(session.api, names, named=bool(arguments))


def _gathered(api: Api, names: Sequence[str], *, named: bool) -> list[Figures]:
    """One sample each, side by side: the engine takes a second for one. One that vanished meanwhile is left out unless it was named."""
    rows = []
    for _, outcome in side_by_side(api, names, sample):
        if isinstance(outcome, ApiError | CannotConnect):
            if named:
                raise outcome
            continue
        rows.append(outcome)
    return rows


def sample(api: Api, name: str) -> Figures:
    return figures(name, api.get(f"/containers/{quoted(name)}/stats", {"stream": "0"}))


def figures(asked: str, raw: Json) -> Figures:
    """Out of one sample of the engine, which holds the sample before it too."""
    memory, limit = _memory(raw.get("memory_stats") or {})
    networks = (raw.get("networks") or {}).values()
    blocks = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()

    def moved(operation: str) -> int:
        return sum(int(b["value"]) for b in blocks if b["op"].lower() == operation)

    return Figures(
        asked,
        str(raw.get("id", "")),
        str(raw.get("name", "")).removeprefix("/"),
        _cpu_percent(raw.get("cpu_stats") or {}, raw.get("precpu_stats") or {}),
        memory,
        limit,
        sum(int(n["rx_bytes"]) for n in networks),
        sum(int(n["tx_bytes"]) for n in networks),
        moved("read"),
        moved("write"),
        int((raw.get("pids_stats") or {}).get("current") or 0),
    )


def _cpu_percent(now: Json, before: Json) -> float:
    """Of one processor: two that are busy are 200 %."""
    used = int(now.get("cpu_usage", {}).get("total_usage", 0)) - int(before.get("cpu_usage", {}).get("total_usage", 0))
    passed = int(now.get("system_cpu_usage", 0)) - int(before.get("system_cpu_usage", 0))
    processors = int(now.get("online_cpus", 0)) or len(now.get("cpu_usage", {}).get("percpu_usage") or ())
    return used / passed * processors * 100 if used > 0 and passed > 0 else 0


def _memory(raw: Json) -> tuple[int, int]:
    """Use without the page cache that can be had back (cgroup v1: total_inactive_file, v2: inactive_file), and the limit."""
    usage, limit = int(raw.get("usage") or 0), int(raw.get("limit") or 0)
    details = raw.get("stats") or {}
    cache = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    return usage - cache if cache < usage else usage, limit


def stats_listing(*, whole: bool) -> Listing:
    columns = {
        "Container": Column("CONTAINER", lambda row: row.asked),
        "ID": Column("CONTAINER ID", lambda row: row.identity if whole else short_id(row.identity)),
        "Name": Column("NAME", lambda row: row.name or "--"),
        "CPUPerc": Column("CPU %", lambda row: f"{row.cpu:.2f}%"),
        "MemUsage": Column("MEM USAGE / LIMIT", lambda row: f"{binary_size(row.memory)} / {binary_size(row.limit)}"),
        "MemPerc": Column("MEM %", lambda row: f"{row.memory_share:.2f}%"),
        "NetIO": Column("NET I/O", lambda row: f"{human_size(row.received, 3)} / {human_size(row.sent, 3)}"),
        "BlockIO": Column("BLOCK I/O", lambda row: f"{human_size(row.read, 3)} / {human_size(row.written, 3)}"),
        "PIDs": Column("PIDS", lambda row: str(row.pids)),
    }
    return Listing("*formatter.statsContext", columns, ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"), "ID")


STATS = Action(
    stats,
    (
        Flag("all", BOOL, "Stopped ones too", short="a"),
        LIST_FORMAT_FLAG,
        Flag("no-stream", BOOL, "Once, then quit"),
        Flag("no-trunc", BOOL, "Shorten nothing"),
    ),
)
