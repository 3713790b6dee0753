"""Order and precedence of environment variables."""

import pytest

from corten.engine.spec.environment import container_environment, replace_or_append


@pytest.mark.parametrize(
    ("defaults", "overrides", "expected"),
    [
        (["A=1", "B=2"], [], ["A=1", "B=2"]),
        (["A=1", "B=2"], ["A=3"], ["A=3", "B=2"]),
        (["A=1"], ["C=3", "B=2"], ["A=1", "C=3", "B=2"]),
        (["A=1", "B=2"], ["A"], ["B=2"]),
        (["A=1"], ["A", "A=2"], ["A=2"]),
        ([], ["B=1", "B=2"], ["B=2"]),
        ([], ["B"], []),
        (["A=1"], ["A=x=y"], ["A=x=y"]),
    ],
)
def test_overrides_take_the_places_of_defaults(defaults: list[str], overrides: list[str], expected: list[str]) -> None:
    assert replace_or_append(defaults, overrides) == expected


@pytest.mark.parametrize(
    ("own", "home"), [([], "HOME=/home/bob"), (["HOME=/x"], "HOME=/x"), (["HOME="], "HOME=/home/bob"), (["HOME"], "HOME=/home/bob")]
)
def test_home_is_the_users_unless_set(own: list[str], home: str) -> None:
    environment = container_environment("box", own, tty=False, home="/home/bob")
    assert [entry for entry in environment if entry.startswith("HOME")] == [home]
    assert environment[1] == "HOSTNAME=box"


def test_a_terminal_has_a_type() -> None:
    assert "TERM=xterm" in container_environment("box", [], tty=True, home="/")
    assert "TERM=xterm" not in container_environment("box", [], tty=False, home="/")
