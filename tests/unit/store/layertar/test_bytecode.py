"""Byte code stays valid when its source's time is set back."""

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from corten.store.layertar.bytecode import set_back

NEWEST = 1_500_000_000 * 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mod.py").write_text("x = 1\n")
    return tmp_path


def compiled(source: Path, mode: py_compile.PycInvalidationMode = py_compile.PycInvalidationMode.TIMESTAMP, optimize: int = -1) -> Path:
    return Path(str(py_compile.compile(str(source), doraise=True, invalidation_mode=mode, optimize=optimize)))


def set_back_in(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return set_back(fd, NEWEST)
    finally:
        os.close(fd)


def recorded(pyc: Path) -> int:
    return int.from_bytes(pyc.read_bytes()[8:12], "little")


def test_the_new_time_is_recorded(folder: Path) -> None:
    pycs = [compiled(folder / "mod.py"), compiled(folder / "mod.py", optimize=1)]
    assert set_back_in(folder) == 2
    assert [recorded(pyc) for pyc in pycs] == [1_500_000_000] * 2
    assert set_back_in(folder) == 0  # the second time nothing fits any more


def test_python_takes_it(folder: Path) -> None:
    pyc = compiled(folder / "mod.py")
    set_back_in(folder)
    os.utime(folder / "mod.py", ns=(NEWEST, NEWEST))
    before = pyc.stat().st_mtime_ns
    spec = importlib.util.spec_from_file_location("mod", folder / "mod.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert pyc.stat().st_mtime_ns == before  # a stale one would have been written anew


def test_what_is_left_alone(folder: Path) -> None:
    by_hash = compiled(folder / "mod.py", py_compile.PycInvalidationMode.CHECKED_HASH)
    kept = by_hash.read_bytes()
    (folder / "__pycache__" / "gone.cpython-311.pyc").write_bytes(b"short")
    (folder / "__pycache__" / "link.cpython-311.pyc").symlink_to("/etc/passwd")
    (folder / "link.py").write_text("")
    assert set_back_in(folder) == 0
    assert by_hash.read_bytes() == kept


def test_an_old_source_keeps_its_time(folder: Path) -> None:
    os.utime(folder / "mod.py", ns=(NEWEST - 10**9, NEWEST - 10**9))
    pyc = compiled(folder / "mod.py")
    assert set_back_in(folder) == 0
    assert recorded(pyc) == 1_499_999_999
