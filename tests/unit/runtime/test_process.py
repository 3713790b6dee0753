"""What a process is made of: environment, program, credentials, limits."""

import os
import resource
from pathlib import Path

import pytest

from corten.errors import Invalid
from corten.kernel.caps import capability_mask
from corten.runtime.init.credentials import home_directory, parse_credentials
from corten.runtime.init.limits import parse_cpu_list, parse_rlimits, set_rlimits
from corten.runtime.init.program import ProgramError, environment, find_program
from tests.support.forked import forked


def test_the_last_value_of_a_variable_wins() -> None:
    assert environment(["A=1", "B=x=y", "A=2", "nonsense", "=z"]) == {"A": "2", "B": "x=y"}


def program(tmp_path: Path, name: str, mode: int) -> None:
    path = tmp_path / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)


def test_a_program_is_found_as_a_shell_would(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    program(tmp_path, "tool", 0o755)
    assert find_program("tool", f"relative:{tmp_path}/first:{tmp_path}") == f"{tmp_path}/tool"
    assert find_program(f"{tmp_path}/tool", "") == f"{tmp_path}/tool"
    assert find_program("sh", None) in ("/usr/bin/sh", "/bin/sh")


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("tool", "exec-not-found", 'exec: "tool": executable file not found in $PATH'),
        ("", "exec-not-found", 'exec: "": executable file not found in $PATH'),
        ("{0}/nothing", "exec-not-found", 'exec: "{0}/nothing": stat {0}/nothing: no such file or directory'),
        ("{0}/plain/below", "exec-not-found", 'exec: "{0}/plain/below": stat {0}/plain/below: not a directory'),
        ("{0}/plain", "exec-permission", 'exec: "{0}/plain": permission denied'),
        ("{0}", "exec-permission", 'exec: "{0}": is a directory: permission denied'),
        ("plain", "exec-permission", 'exec: "plain": permission denied'),
    ],
)
def test_why_a_program_cannot_run(tmp_path: Path, name: str, reason: str, message: str) -> None:
    program(tmp_path, "plain", 0o644)
    with pytest.raises(ProgramError) as caught:
        find_program(name.format(tmp_path), "/nowhere" if name in ("tool", "") else str(tmp_path))
    assert (caught.value.reason, caught.value.message) == (reason, message.format(tmp_path))


def test_credentials() -> None:
    found = parse_credentials(
        {
            "user": {"uid": 5, "gid": 6, "additionalGids": [7], "umask": 0},
            "noNewPrivileges": True,
            "capabilities": {"bounding": ["CAP_CHOWN", "CAP_FUTURE"], "permitted": ["CAP_KILL"], "ambient": None},
        }
    )
    assert (found.uid, found.gid, found.groups, found.umask, found.no_new_privs) == (5, 6, (7,), 0, True)
    assert (found.bounding, found.permitted, found.ambient) == (capability_mask(["CAP_CHOWN"]), capability_mask(["CAP_KILL"]), 0)
    assert found.unknown == ("CAP_FUTURE",)
    nobody = parse_credentials({})
    assert (nobody.uid, nobody.umask, nobody.bounding) == (0, 0o022, 0)


def test_rlimits() -> None:
    nofile = {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 2**64 - 1}
    assert parse_rlimits([nofile]) == ((resource.RLIMIT_NOFILE, 10, resource.RLIM_INFINITY),)
    for bad in ([nofile, nofile], [{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}], [{"type": "setrlimit", "soft": 1, "hard": 1}]):
        with pytest.raises(Invalid, match="rlimit"):
            parse_rlimits(bad)


def test_a_limit_that_may_not_be_raised_is_kept_and_told() -> None:
    def body() -> tuple[list[str], tuple[int, int]]:
        os.setresuid(65534, 65534, 65534) if os.geteuid() == 0 else None
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 100))
        notes = set_rlimits(((resource.RLIMIT_NOFILE, 150, 200),))
        return notes, resource.getrlimit(resource.RLIMIT_NOFILE)

    notes, limits = forked(body)
    assert limits == (100, 100)
    assert "CAP_SYS_RESOURCE" in notes[0]
    assert len(notes) == 1


def test_cpu_lists() -> None:
    assert parse_cpu_list("0-2,7, 9-9") == {0, 1, 2, 7, 9}
    assert parse_cpu_list("") == set()


def test_home_comes_from_passwd() -> None:
    assert home_directory(0) == "/root"
    assert home_directory(4_000_000) == "/"
