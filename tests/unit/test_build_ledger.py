"""Every row of what builds are asked for (tests/integration/build/ledger.txt) has tests that type it, and they exist."""

import re
from functools import cache
from pathlib import Path

import pytest

from corten.cli import commands
from corten.cli.build.command import BUILD
from tests.integration.build.corpus import cases

TESTS = Path(__file__).parents[1]
HANDLERS = TESTS.parent / "src/corten/api"


def read_ledger() -> dict[str, dict[str, list[str]]]:
    """Proofs by section and row."""
    _, *blocks = re.split(r"^== ", (TESTS / "integration/build/ledger.txt").read_text(), flags=re.MULTILINE)
    found: dict[str, dict[str, list[str]]] = {}
    for block in blocks:
        section, *lines = block.splitlines()
        rows = found[section] = {}
        for line in filter(None, lines):
            if line.startswith(" "):
                rows[list(rows)[-1]] += line.split()
            else:
                rows[line] = []
    return found


LEDGER = read_ledger()
ROWS = [(f"{section}: {row}", proofs) for section, rows in LEDGER.items() for row, proofs in rows.items()]


@cache
def corpus() -> frozenset[str]:
    return frozenset(case.name for case in cases())


@cache
def functions(path: str) -> frozenset[str]:
    file = TESTS / path if "/" in path else TESTS / "integration/build" / path
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE))


def test_all_proofs_are_there() -> None:
    assert [row for row, proofs in ROWS if not proofs] == []
    for row, proofs in ROWS:
        for proof in proofs:
            path, colons, name = proof.partition("::")
            assert name in functions(path) if colons else proof in corpus(), f"{row}: there is no {proof}"


def test_every_flag_has_a_row() -> None:
    rows = {*LEDGER["flags"], *LEDGER["classic flags"], *LEDGER["own flags"]}
    assert {flag.name for flag in BUILD.flags} == rows


def test_every_parameter_has_a_row() -> None:
    """Those that the handler reads, and one that is passed over."""
    text = "".join((HANDLERS / name).read_text() for name in ("handlers/build.py", "build_limits.py"))
    read = set(re.findall(r'(?:request\.(?:text|flag|integer|values)\(|_(?:mapping|list)\(request, )"(\w+)"', text)) - {"id"}
    assert set(LEDGER["parameters"]) - read == {"forcerm"}, "no container stays in any case"
    assert read <= set(LEDGER["parameters"])


@pytest.mark.parametrize("command", LEDGER["commands"])
def test_every_command_is_taken_or_refused_by_name(command: str) -> None:
    found = commands.find(command.split())
    assert command in commands.REFUSED or (found is not None and found[1] == command)
