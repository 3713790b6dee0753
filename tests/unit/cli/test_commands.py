"""The table of commands: what of Docker's there is no command for is refused by its name."""

import pytest

from corten.cli import commands

BUILDER = "build prune"
BUILDX = "bake build create dap debug dial-stdio du history imagetools inspect ls policy prune rm stop use version"  # of buildx 0.30
NAMES = ["build", "image build", "bake", *(f"builder {verb}" for verb in BUILDER.split()), *(f"buildx {verb}" for verb in BUILDX.split())]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_builds_is_there_or_refused_by_name(name: str) -> None:
    found = commands.find(name.split())
    assert name in commands.REFUSED or (found is not None and found[1] == name)


def test_no_command_is_both_there_and_refused() -> None:
    there = {name for command in commands.COMMANDS for name in command.names}
    assert there & commands.REFUSED.keys() == set()
