"""Tables, port lists, progress, help."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.cli.commands import COMMANDS, members, top_level
from corten.cli.container.list import container_listing, ports_text
from corten.cli.container.port import _natural
from corten.cli.container.stats import figures
from corten.cli.errors import Failure
from corten.cli.help import command_help, flag_table, wrapped
from corten.cli.output.progress import bar, show_progress
from corten.cli.output.tables import aligned
from corten.cli.reference import render
from corten.cli.session import load


def test_columns_are_as_wide_as_their_longest_cell_and_three() -> None:
    assert aligned(["A\tBBBBBBBBBB\tC", "x\ty\tz"]) == ["A         BBBBBBBBBB   C", "x         y            z"]


def test_a_line_without_tabs_ends_a_column() -> None:
    assert aligned(["a\tb", "plain", "cccccccccccc\td"]) == ["a         b", "plain", "cccccccccccc   d"]


@settings(max_examples=30)
@given(st.lists(st.lists(st.text(alphabet="abc ", max_size=15), min_size=3, max_size=3), min_size=1, max_size=6))
def test_every_column_starts_at_one_place(rows: list[list[str]]) -> None:
    lines = aligned(["\t".join(row) for row in rows])
    widths = [max(10, 3 + max(len(row[i]) for row in rows)) for i in range(2)]
    for line, row in zip(lines, rows, strict=True):
        assert line == row[0].ljust(widths[0]) + row[1].ljust(widths[1]) + row[2]


def port(private: int, public: int = 0, ip: str = "", kind: str = "tcp") -> dict[str, Any]:
    return {"PrivatePort": private, "Type": kind, **({"PublicPort": public, "IP": ip} if ip else {})}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 80, "0.0.0.0"), port(80, 80, "::")], "0.0.0.0:80->80/tcp, [::]:80->80/tcp"),
        ([port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp"),
        ([port(80), port(81), port(83)], "80-81/tcp, 83/tcp"),
        ([port(90, 90, "0.0.0.0"), port(91, 91, "0.0.0.0"), port(70)], "0.0.0.0:90-91->90-91/tcp, 70/tcp"),
        ([port(53, kind="udp"), port(53)], "53/tcp, 53/udp"),
    ],
)
def test_ports(ports: list[dict[str, Any]], text: str) -> None:
    listed = ports_text(ports)
    assert sorted(listed.split(", ")) == sorted(text.split(", "))


def test_names_of_links_show_only_untruncated() -> None:
    row = {"Names": ["/other/alias", "/own"]}
    assert container_listing(whole=False).columns["Names"].get(row) == "own"
    assert container_listing(whole=True).columns["Names"].get(row) == "other/alias,own"


def test_image_of_a_container_in_its_short_form() -> None:
    get = container_listing(whole=False).columns["Image"].get
    digest = "sha256:" + "a" * 64
    assert get({"Image": "docker.io/library/x:1", "ImageID": digest}) == "x:1"
    assert get({"Image": f"x@{digest}", "ImageID": "b" * 64}) == "x"
    assert get({"Image": digest, "ImageID": digest}) == "a" * 12
    assert get({"Image": "", "ImageID": digest}) == "<no image>"


def test_natural_order_of_ports() -> None:
    assert sorted(["443/tcp", "80/tcp", "8080/tcp"], key=_natural) == ["80/tcp", "443/tcp", "8080/tcp"]
    assert sorted(["[::]:80", "0.0.0.0:80"], key=_natural) == ["0.0.0.0:80", "[::]:80"]


def test_progress_without_a_terminal_leaves_bars_out() -> None:
    out = io.StringIO()
    messages: list[dict[str, Any]] = [
        {"status": "Pulling from library/x", "id": "latest"},
        {"status": "Downloading", "id": "abc", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Download complete", "id": "abc", "progressDetail": {}},
        {"stream": "Step 1/2 : FROM x\n"},
        {"status": "Digest: sha256:1"},
        {"aux": {"ID": "sha256:2"}},
    ]
    aux: list[Any] = []
    show_progress(messages, out, aux=aux)
    assert out.getvalue() == "latest: Pulling from library/x\nabc: Download complete\nStep 1/2 : FROM x\nDigest: sha256:1\n"
    assert aux == [{"ID": "sha256:2"}]


def test_progress_ends_with_the_engines_error() -> None:
    with pytest.raises(Failure, match="returned a non-zero code: 3"):
        show_progress([{"errorDetail": {"message": "The command 'x' returned a non-zero code: 3"}, "error": "x"}], io.StringIO())


class Screen(io.StringIO):
    """A terminal that remembers lines: it obeys cursor up and down, carriage return and clear line."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        lines, row = [""], 0
        text = self.getvalue()
        while text:
            if text.startswith("\x1b["):
                end = next(i for i, c in enumerate(text[2:], 2) if c.isalpha())
                count = int(text[2:end] or 1)
                row += {"A": -count, "B": count}.get(text[end], 0)
                if text[end] == "K":
                    lines[row] = ""
                text = text[end + 1 :]
                continue
            if text[0] == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif text[0] != "\r":
                lines[row] += text[0]
            text = text[1:]
        return lines


def test_progress_on_a_terminal_changes_lines_in_place() -> None:
    screen = Screen()
    messages: list[dict[str, Any]] = [
        {"status": "Waiting", "id": "a", "progressDetail": {}},
        {"status": "Waiting", "id": "b", "progressDetail": {}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 5, "total": 10}},
        {"status": "Done", "id": "b", "progressDetail": {}},
        {"status": "Digest: x"},
    ]
    show_progress(messages, screen)
    assert screen.shown()[:3] == ["a: Downloading 5B/10B", "b: Done", "Digest: x"]


def test_bar() -> None:
    half = {"current": 500, "total": 1000}
    assert bar(half, 120) == "[" + "=" * 25 + ">" + " " * 25 + "]     500B/1kB"
    assert bar({"current": 2, "total": 4, "units": "steps"}, 120) == "2/4 steps"
    assert bar({"current": 500}, 120) == "500B"
    assert bar({}, 120) == ""


def test_stats_of_both_cgroup_versions() -> None:
    raw = {
        "id": "a" * 64,
        "name": "/x",
        "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
        "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
        "memory_stats": {"usage": 100, "limit": 1000, "stats": {"inactive_file": 40}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 3, "tx_bytes": 4}},
        "blkio_stats": {
            "io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 6}, {"op": "Total", "value": 11}]
        },
        "pids_stats": {"current": 7},
    }
    row = figures("x", raw)
    assert (row.cpu, row.memory, row.memory_share, row.received, row.sent, row.read, row.written, row.pids) == (40, 60, 6, 4, 6, 5, 6, 7)
    assert figures("x", {}).cpu == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.names[0])
def test_every_command_loads_and_explains_itself(command: Any) -> None:
    flags = load(command.target).flags
    page = command_help("corten", command.names[0], command, flags)
    assert page.startswith(f"Usage:  corten {command.names[0]}")
    assert len({f.name for f in flags}) == len(flags)
    shorts = [f.short for f in flags if f.short]
    assert len(set(shorts)) == len(shorts)
    assert all(f.help for f in flags if not f.hidden)


def test_every_name_is_listed_once() -> None:
    names = [name for command in COMMANDS for name in command.names]
    assert len(set(names)) == len(names)
    assert {"ls", "run", "prune"} <= {name for name, _ in members("container")}
    usual, others = top_level()
    assert not {name for name, _ in usual} & {name for name, _ in others}


def test_reference_names_every_command() -> None:
    page = render()
    assert [c.names[0] for c in COMMANDS if f"## corten {c.names[0]}\n" not in page] == []


def test_help_is_wrapped_beside_its_column() -> None:
    table = flag_table(load("container.list:LS").flags, 79)
    assert all(len(line) <= 79 for line in table.splitlines())
    assert "  -a, --all             Stopped ones too" in table


@settings(max_examples=30)
@given(st.text(alphabet="ab \n", max_size=200))
def test_wrapping_keeps_every_word(text: str) -> None:
    assert wrapped(text, 20, 60).split() == text.split()
