"""The options of `ps` that `top` takes: columns, and the order of the lines."""

import os

import pytest

from corten.engine.containers.top import ProcessFacts, SortKey, in_order, parse_columns, process_table, split_sort
from corten.errors import EngineError, Invalid


def process(pid: int, *, resident: int = 0, started: float = 0, comm: str = "sh") -> ProcessFacts:
    return ProcessFacts(
        pid=pid,
        ppid=1,
        state="S",
        tty=0,
        cpu_ticks=0,
        started=started,
        virtual=0,
        resident=resident,
        threads=1,
        nice=0,
        uid=0,
        gid=0,
        comm=comm,
        args=comm,
    )


def sorted_pids(spec: str, *processes: ProcessFacts) -> list[int]:
    return [found.pid for found in in_order(list(processes), split_sort(f"--sort={spec}")[1])]


@pytest.mark.parametrize(
    "text", ["-eo pid,comm --sort -rss,pid", "--sort=-rss,+pid -eo pid,comm", "-ww -eo pid,comm --sort=-rss --sort pid"]
)
def test_the_order_is_taken_out_of_the_words(text: str) -> None:
    words, order = split_sort(text)
    assert (words, order) == (["-eo", "pid,comm"], [SortKey("rss", True), SortKey("pid", False)])


def test_figures_are_compared_as_figures_and_names_as_text() -> None:
    small, big, same = process(7, resident=9000, comm="b"), process(9, resident=10000, comm="a"), process(11, resident=10000, comm="b")
    assert sorted_pids("rss", small, big, same) == [7, 9, 11]
    assert sorted_pids("-rss,-pid", small, big, same) == [11, 9, 7]
    assert sorted_pids("cmd,%mem", small, big, same) == [9, 7, 11]
    assert sorted_pids("etime", process(1, started=10), process(2, started=20)) == [2, 1]


@pytest.mark.parametrize("text", ["-eo pid,user", "axo pid,user", "-o pid,user", "-e -o pid -o user"])
def test_columns_by_name(text: str) -> None:
    assert parse_columns(text.split()) == [("pid", "PID"), ("user", "USER")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--sort", "ps: error: long sort specification must follow --sort"),
        ("-ef --sort=", "ps: error: long sort specification must follow --sort"),
        ("--sort foo", "ps: error: unknown sort specifier"),
        ("-o pid,foo", 'ps: error: unknown user-defined format specifier "foo"'),
        ("-o user --sort pid", "Couldn't find PID field in ps output"),
    ],
)
def test_what_ps_would_refuse(text: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        process_table([], text)
    assert caught.value.message == message


def test_what_is_not_supported_is_named() -> None:
    with pytest.raises(Invalid, match=r"ps options '-ef --forest' are not supported"):
        process_table([], "-ef --forest")


def test_real_processes_in_order() -> None:
    pids = [os.getpid(), os.getppid()]
    table = process_table(pids, "-o pid=ID,comm,pid --sort=-pid")
    assert table.titles == ("ID", "COMMAND", "PID")
    assert [row[0] for row in table.rows] == [str(pid) for pid in sorted(pids, reverse=True)]
