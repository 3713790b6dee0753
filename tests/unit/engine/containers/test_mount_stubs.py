"""What a start leaves in a writable layer without anybody's doing: seen neither by `diff` nor by `commit`, as in Docker 28.5."""

from pathlib import Path

import pytest

from corten.engine.containers.mount_stubs import remove_own, without_own
from corten.store.changes import Change, Kind

A, C, D = Kind.ADDED, Kind.MODIFIED, Kind.DELETED
STARTED = ["A /.dockerenv", "A /dev", "A /etc/hostname", "A /etc/hosts", "A /etc/resolv.conf", "A /proc", "A /sys"]
CASES: tuple[tuple[list[str], list[str]], ...] = (
    (["C /etc"], []),
    (["A /etc"], []),
    (["C /etc", "A /etc/new"], ["A /etc/new", "C /etc"]),
    (["A /etc", "A /etc/new"], ["A /etc/new", "C /etc"]),
    (["C /etc", "C /etc/passwd"], ["C /etc", "C /etc/passwd"]),
    (["C /etc", "D /etc/passwd"], ["C /etc", "D /etc/passwd"]),
    (["C /etc", "A /data", "A /a", "A /a/hosts"], ["A /a", "A /a/hosts", "A /data"]),
)


def changes(lines: list[str]) -> list[Change]:
    return sorted((Change(line[2:], Kind("CAD".index(line[0]))) for line in lines), key=lambda change: change.path)


@pytest.mark.parametrize(("more", "shown"), CASES)
def test_only_what_somebody_did_is_shown(more: list[str], shown: list[str]) -> None:
    assert sorted(f"{'CAD'[c.kind]} {c.path}" for c in without_own(changes([*STARTED, *more]))) == shown


def test_a_copy_loses_them_but_not_what_somebody_filled(tmp_path: Path) -> None:
    for folder in ("etc", "dev", "proc/kept"):
        (tmp_path / folder).mkdir(parents=True)
    for file, text in ((".dockerenv", ""), ("etc/hosts", ""), ("etc/hostname", "mine"), ("etc/new", "")):
        (tmp_path / file).write_text(text)
    remove_own(str(tmp_path), changes([*STARTED, "C /etc", "A /etc/new", "A /proc/kept"]))
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")} == {"etc", "etc/hostname", "etc/new", "proc", "proc/kept"}
