"""Context files that become a layer's by link: what does, what does not, and that the tree is the one a copy makes."""

import os
from pathlib import Path

import pytest

from corten.build.dockerfile.parser import parse
from corten.build.files.copier import Copier, Stamp
from corten.build.files.tree import Tree
from corten.build.files.upperdir import UpperDirWriter
from corten.build.graph import binds_context

TIME = 10**18
OWNER = (os.geteuid(), os.getegid())


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/data").write_bytes(b"data")
    (folder / "top").write_bytes(b"top")
    (folder / "top").chmod(0o640)
    (folder / "code.pyc").write_bytes(b"code")
    (folder / "one").write_bytes(b"twice")
    (folder / "two").hardlink_to(folder / "one")
    return folder


def copied(context: Path, target: Path, *, grafting: bool) -> None:
    target.mkdir(exist_ok=True)
    source, root = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (context, target))
    try:
        tree = Tree(source, own=False)
        upper_writer = UpperDirWriter(tree, TIME) if grafting else None
        Copier(tree, root, Stamp(owner=OWNER, time=TIME), upper_writer=upper_writer).copy("", "/srv", into=False)
        if upper_writer is not None:
            upper_writer.write(str(target))
    finally:
        os.close(source)
        os.close(root)


def seen(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        found[str(path.relative_to(folder))] = (stat.st_mode, stat.st_uid, stat.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def test_the_tree_is_the_one_that_a_copy_makes(context: Path, tmp_path: Path) -> None:
    for name, grafting in (("copied", False), ("grafted", True)):
        copied(context, tmp_path / name, grafting=grafting)
        os.utime(tmp_path / name / "srv", ns=(TIME, TIME))  # a copy leaves the directory's own time to the layer
    assert seen(tmp_path / "grafted") == seen(tmp_path / "copied")


def test_a_file_of_one_name_is_linked_and_others_are_copied(context: Path, tmp_path: Path) -> None:
    copied(context, tmp_path / "target", grafting=True)
    inodes = {name: (context / name).stat().st_ino for name in ("top", "deep/er/data", "code.pyc", "one")}
    linked = {name for name, inode in inodes.items() if (tmp_path / "target/srv" / name).stat().st_ino == inode}
    assert linked == {"top", "deep/er/data"}


def test_what_one_layer_has_is_copied_into_the_next(context: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        copied(context, tmp_path / name, grafting=True)
    first, second = ((tmp_path / name / "srv/top").stat().st_ino for name in ("first", "second"))
    assert first != second


def test_a_file_that_is_there_is_replaced_not_kept(context: Path, tmp_path: Path) -> None:
    (tmp_path / "target/srv").mkdir(parents=True)
    (tmp_path / "target/srv/top").write_bytes(b"old")
    copied(context, tmp_path / "target", grafting=True)
    assert (tmp_path / "target/srv/top").read_bytes() == b"top"


@pytest.mark.parametrize(
    ("run", "binds"),
    [
        ("RUN make", False),
        ("RUN --mount=type=bind,target=/src make", True),
        ("RUN --mount=type=bind,from=other,target=/src make", False),
        ("RUN --mount=type=cache,target=/src make", False),
    ],
)
def test_a_context_that_a_run_looks_at_stays_as_it_was_sent(run: str, binds: bool) -> None:
    assert binds_context(parse(f"FROM scratch\n{run}\n", "Dockerfile")) is binds
