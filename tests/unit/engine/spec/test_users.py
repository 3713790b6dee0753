"""`--user` by Docker's rules."""

import pytest

from corten.engine.spec.users import ResolvedUser, resolve_user
from corten.errors import EngineError, Invalid
from tests.unit.engine.spec.cases import GROUP, PASSWD


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", ResolvedUser(0, 0, (0, 10), "/root")),
        ("0", ResolvedUser(0, 0, (0, 10), "/root")),
        ("bob", ResolvedUser(1000, 1001, (1001, 1, 10), "/home/bob")),
        ("1000", ResolvedUser(1000, 1001, (1001, 1, 10), "/home/bob")),
        ("bob:", ResolvedUser(1000, 1001, (1001, 1, 10), "/home/bob")),
        ("bob:audio", ResolvedUser(1000, 29, (29,), "/home/bob")),
        ("bob:77", ResolvedUser(1000, 77, (77,), "/home/bob")),
        ("77", ResolvedUser(77, 0, (0,), "/")),
        ("daemon", ResolvedUser(1, 1, (1,), "/usr/sbin")),
        (":audio", ResolvedUser(0, 29, (29,), "/root")),
    ],
)
def test_names_and_numbers(user: str, expected: ResolvedUser) -> None:
    assert resolve_user(user, PASSWD, GROUP) == expected


def test_without_files_root_and_numbers_still_work() -> None:
    assert resolve_user("", "", "") == ResolvedUser(0, 0, (0,), "/")
    assert resolve_user("5:6", "", "", ["7"]) == ResolvedUser(5, 6, (6, 7), "/")


def test_odd_lines_do_no_harm() -> None:
    passwd = "\n# comment\nshort\nbob:x:notanumber:::\nbob:x:9:9::/second:\n"
    assert resolve_user("bob", passwd, "g:x:3:bob\nbroken\n") == ResolvedUser(0, 0, (0, 3), "/")


@pytest.mark.parametrize("user", ["alice", "bob:nogroup", "alice:0"])
def test_unlisted_names_are_refused(user: str) -> None:
    with pytest.raises(EngineError, match="unable to find"):
        resolve_user(user, PASSWD, GROUP)


@pytest.mark.parametrize("user", ["-1", "0:-1", "2147483648"])
def test_numbers_out_of_range_are_refused(user: str) -> None:
    with pytest.raises(Invalid, match="uids and gids must be in range 0-2147483647"):
        resolve_user(user, PASSWD, GROUP)
