"""`docker top`: a container's processes as `ps` would show them, read from /proc. No program is run.

Known are `-ef` (the default), `aux`, `-o`/`-eo`/`axo` with a list of columns, each perhaps renamed (`pid=ID`), and with each of
them `-w` (lines are never cut here) and `--sort` by any column, shown or not: `--sort=-rss,pid`.
"""

import os
import pwd
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from corten.errors import EngineError, Invalid

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_EF = ("user=UID", "pid", "ppid", "c", "stime", "tname=TTY", "time", "args=CMD")
_AUX = ("user", "pid", "pcpu", "pmem", "vsz", "rss", "tname=TTY", "stat", "start", "bsdtime=TIME", "args=COMMAND")


@dataclass(frozen=True, slots=True)
class ProcessTable:
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class SortKey(NamedTuple):
    column: str
    descending: bool


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process: ids, ticks of CPU, start in seconds since the epoch, sizes in bytes."""

    pid: int
    ppid: int
    state: str
    tty: int
    cpu_ticks: int
    started: float
    virtual: int
    resident: int
    threads: int
    nice: int
    uid: int
    gid: int
    comm: str
    args: str


def process_table(pids: Iterable[int], ps_args: str) -> ProcessTable:
    """Raises Invalid for options that are not understood. Processes that ended meanwhile are left out."""
    words, order = split_sort(ps_args)
    columns = parse_columns(words)
    if all(title != "PID" for _, title in columns):
        raise EngineError("Couldn't find PID field in ps output", reason="ps-without-pid", hint="ask for the column pid as well")
    boot = _boot_time()
    facts = in_order([found for pid in sorted(pids) if (found := _read(pid, boot)) is not None], order)
    rows = tuple(tuple(_COLUMNS[name].cell(process) for name, _ in columns) for process in facts)
    return ProcessTable(tuple(title for _, title in columns), rows)


def split_sort(ps_args: str) -> tuple[list[str], list[SortKey]]:
    """The other words of the `ps` options, and the order asked for by `--sort SPEC` or `--sort=SPEC`."""
    words, order = [], []
    rest = iter(ps_args.split())
    for word in rest:
        option, equals, value = word.partition("=")
        if option != "--sort":
            words.append(word)
            continue
        value = value if equals else next(rest, "")
        if not value:
            raise EngineError("ps: error: long sort specification must follow --sort", reason="ps-sort")
        order += [_sort_key(key) for key in value.split(",")]
    return [word for word in words if word not in ("-w", "-ww", "w", "ww")], order


def _sort_key(text: str) -> SortKey:
    name = text.lstrip("+-")
    name = _ALIASES.get(name, name)
    if name not in _COLUMNS:
        raise EngineError("ps: error: unknown sort specifier", reason="ps-sort", hint=f"known are {', '.join(_COLUMNS)}")
    return SortKey(name, text.startswith("-"))


def in_order(facts: list[ProcessFacts], order: Iterable[SortKey]) -> list[ProcessFacts]:
    """By the first key, then by the next one; what is equal keeps its place. Figures count as figures, whatever the table shows."""
    for key in reversed(list(order)):
        facts = sorted(facts, key=_FIGURES.get(key.column, _COLUMNS[key.column].cell), reverse=key.descending)
    return facts


def parse_columns(words: list[str]) -> list[tuple[str, str]]:
    """(column, title) of the `ps` options."""
    if not words or words in (["-ef"], ["-e", "-f"], ["ef"], ["-f"]):
        return _named(_EF)
    if words in (["aux"], ["-aux"], ["u"], ["axu"]):
        return _named(_AUX)
    text = " ".join(words)
    match = re.fullmatch(r"(?:-[eA]\s+)?(?:-?[eA]?|-?ax)o\s*(.+)", text)
    if match is None:
        raise Invalid(
            f"ps options {text!r} are not supported",
            reason="ps-options",
            hint="use -ef, aux, or -o with columns such as pid,user,args, and --sort",
        )
    return _named([word for word in re.split(r"[,\s]+", match[1]) if word and word != "-o"])


def _named(words: Iterable[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for word in words:
        name, renamed, title = word.partition("=")
        name = _ALIASES.get(name, name)
        if name not in _COLUMNS:
            raise EngineError(f'ps: error: unknown user-defined format specifier "{name}"', reason="ps-column")
        found.append((name, title if renamed else _COLUMNS[name].title))
    return found


def _read(pid: int, boot: float) -> ProcessFacts | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, _, tail = file.read().rpartition(") ")
        owner = os.stat(f"/proc/{pid}")
        with open(f"/proc/{pid}/cmdline", "rb") as raw:
            words = raw.read().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    comm = head.partition("(")[2]
    args = " ".join(word.decode(errors="replace") for word in words)
    return ProcessFacts(
        pid=pid,
        ppid=int(fields[1]),
        state=fields[0],
        tty=int(fields[4]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        started=boot + int(fields[19]) / _TICKS,
        virtual=int(fields[20]),
        resident=int(fields[21]) * _PAGE,
        threads=int(fields[17]),
        nice=int(fields[16]),
        uid=owner.st_uid,
        gid=owner.st_gid,
        comm=comm,
        args=args or f"[{comm}]",
    )


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _user(process: ProcessFacts) -> str:
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def _percent_cpu(process: ProcessFacts) -> float:
    lived = max(time.time() - process.started, 0.01)
    return min(process.cpu_ticks / _TICKS / lived * 100, 9999.0)


def _percent_memory(process: ProcessFacts) -> float:
    return process.resident / (_PAGE * os.sysconf("SC_PHYS_PAGES")) * 100


def _start(process: ProcessFacts) -> str:
    form = "%H:%M" if time.time() - process.started < 86400 else "%b%d"
    return time.strftime(form, time.localtime(process.started))


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    text = time.strftime("%H:%M:%S", time.gmtime(rest))
    return f"{days}-{text}" if days else text


def _terminal(process: ProcessFacts) -> str:
    major, minor = os.major(process.tty), os.minor(process.tty)
    if process.tty == 0:
        return "?"
    return f"pts/{minor}" if major == 136 else f"tty{minor}"


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[ProcessFacts], str]


_COLUMNS = {
    "user": _Column("USER", _user),
    "uid": _Column("UID", lambda p: str(p.uid)),
    "gid": _Column("GID", lambda p: str(p.gid)),
    "pid": _Column("PID", lambda p: str(p.pid)),
    "ppid": _Column("PPID", lambda p: str(p.ppid)),
    "c": _Column("C", lambda p: str(int(min(_percent_cpu(p), 99)))),
    "pcpu": _Column("%CPU", lambda p: f"{_percent_cpu(p):.1f}"),
    "pmem": _Column("%MEM", lambda p: f"{_percent_memory(p):.1f}"),
    "vsz": _Column("VSZ", lambda p: str(p.virtual // 1024)),
    "rss": _Column("RSS", lambda p: str(p.resident // 1024)),
    "stime": _Column("STIME", _start),
    "start": _Column("START", _start),
    "tname": _Column("TTY", _terminal),
    "time": _Column("TIME", lambda p: _clock(p.cpu_ticks // _TICKS)),
    "bsdtime": _Column("TIME", lambda p: f"{p.cpu_ticks // _TICKS // 60}:{p.cpu_ticks // _TICKS % 60:02}"),
    "etimes": _Column("ELAPSED", lambda p: str(int(time.time() - p.started))),
    "etime": _Column("ELAPSED", lambda p: _clock(int(time.time() - p.started))),
    "stat": _Column("STAT", lambda p: p.state),
    "state": _Column("S", lambda p: p.state),
    "nlwp": _Column("NLWP", lambda p: str(p.threads)),
    "ni": _Column("NI", lambda p: str(p.nice)),
    "comm": _Column("COMMAND", lambda p: p.comm),
    "args": _Column("COMMAND", lambda p: p.args),
}
_FIGURES: dict[str, Callable[[ProcessFacts], float]] = {
    "uid": lambda p: p.uid,
    "gid": lambda p: p.gid,
    "pid": lambda p: p.pid,
    "ppid": lambda p: p.ppid,
    "c": _percent_cpu,
    "pcpu": _percent_cpu,
    "pmem": lambda p: p.resident,
    "vsz": lambda p: p.virtual,
    "rss": lambda p: p.resident,
    "stime": lambda p: p.started,
    "start": lambda p: p.started,
    "time": lambda p: p.cpu_ticks,
    "bsdtime": lambda p: p.cpu_ticks,
    "etimes": lambda p: -p.started,
    "etime": lambda p: -p.started,
    "nlwp": lambda p: p.threads,
    "ni": lambda p: p.nice,
}
_ALIASES = {
    "cmd": "args",
    "command": "args",
    "tty": "tname",
    "%cpu": "pcpu",
    "%mem": "pmem",
    "s": "state",
    "rssize": "rss",
    "euser": "user",
}
