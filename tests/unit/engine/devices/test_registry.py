"""Directories of specifications: order, changes, and what is no specification at all."""

import json
import os
from pathlib import Path

import pytest

from corten.engine.devices.registry import CdiRegistry


def write(folder: Path, file: str, *devices: str, kind: str = "vendor.example/dev", value: str = "1") -> Path:
    folder.mkdir(exist_ok=True)
    known = [{"name": name, "containerEdits": {"env": [f"{name.upper()}={value}"]}} for name in devices]
    path = folder / file
    common = {"env": [f"FILE={file}"]}
    path.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": kind, "devices": known, "containerEdits": common}))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "etc", tmp_path / "run"


@pytest.fixture
def registry(folders: tuple[Path, Path]) -> CdiRegistry:
    return CdiRegistry(["", *map(str, folders)])


def test_names_and_edits(folders: tuple[Path, Path], registry: CdiRegistry) -> None:
    assert registry.look().devices == {}
    write(folders[0], "a.json", "b", "a")
    write(folders[0], "b.yaml", "z", kind="other.example/dev")
    write(folders[0], "c.yml", "unread")
    assert list(registry.look().devices) == ["other.example/dev=z", "vendor.example/dev=a", "vendor.example/dev=b"]
    edits, missing = registry.edits(["vendor.example/dev=b", "vendor.example/dev=a", "vendor.example/dev=b", "vendor.example/dev=x"])
    assert edits.env == ("FILE=a.json", "B=1", "A=1")
    assert missing == ["vendor.example/dev=x"]


def test_later_directories_come_first(folders: tuple[Path, Path], registry: CdiRegistry) -> None:
    write(folders[0], "a.json", "a", value="etc")
    write(folders[1], "a.json", "a", value="run")
    assert registry.edits(["vendor.example/dev=a"])[0].env == ("FILE=a.json", "A=run")


def test_two_of_a_name_exclude_each_other(folders: tuple[Path, Path], registry: CdiRegistry) -> None:
    paths = [write(folders[0], "a.json", "a"), write(folders[0], "b.json", "a", "b")]
    found = registry.look()
    assert list(found.devices) == ["vendor.example/dev=b"]
    assert {path: len(errors) for path, errors in found.errors.items()} == {str(path): 1 for path in paths}
    assert 'conflicting device "vendor.example/dev=a"' in found.errors[str(paths[0])][0]
    write(folders[1], "c.json", "a")
    assert "vendor.example/dev=a" in registry.look().devices


def test_changes_are_seen_and_only_they_are_read(folders: tuple[Path, Path], registry: CdiRegistry) -> None:
    path = write(folders[0], "a.json", "a")
    first = registry.look()
    assert registry.look() is first
    path.write_text("{")
    assert "vendor.example/dev=a" not in registry.look().devices
    path.unlink()
    assert registry.look().errors == {}
    write(folders[0], "a.json", "a")
    assert "vendor.example/dev=a" in registry.look().devices


def test_what_is_no_file(folders: tuple[Path, Path], registry: CdiRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """One line each, once; nothing blocks, and the good one is served."""
    etc = folders[0]
    write(etc, "good.json", "a")
    (etc / "folder.json").mkdir()
    os.mkfifo(etc / "fifo.json")
    (etc / "nowhere.json").symlink_to("/nonexistent")
    (etc / "self.yaml").symlink_to("self.yaml")
    (etc / "zero.json").symlink_to("/dev/zero")
    (etc / "linked.json").symlink_to(write(folders[1].parent / "elsewhere", "x.json", "linked"))
    with (etc / "huge.yaml").open("wb") as file:
        file.truncate(1 << 40)
    found = registry.look()
    assert list(found.devices) == ["vendor.example/dev=a", "vendor.example/dev=linked"]
    said = {Path(path).name: errors[0] for path, errors in found.errors.items()}
    assert said.keys() == {"fifo.json", "nowhere.json", "self.yaml", "zero.json", "huge.yaml"}
    assert "not a regular file" in said["fifo.json"]
    assert "not a regular file" in said["zero.json"]
    assert "No such file" in said["nowhere.json"]
    assert "larger than" in said["huge.yaml"]
    registry.look()
    (etc / "good.json").touch()
    registry.look()
    assert len(caplog.records) == 5
