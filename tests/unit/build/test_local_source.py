"""A folder that others change while a build reads it: nothing is read twice, and nothing wrong is ever called by a digest."""

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.build.files.change_detector import IN_PLACE_ATTEMPTS, MOST_ATTEMPTS, ChangeDetector, ContextChanged, retry_on_change
from corten.build.files.copier import Copier, Stamp
from corten.build.files.digests import RACY, FileDigests, Known
from corten.build.files.local_source import LocalSource
from corten.build.files.private_copy import copy_tree
from corten.build.files.tree import Tree
from corten.build.files.upperdir import UpperDirWriter
from corten.ignore import IgnoreRules

LONG = 2 * RACY


class World:
    """The user's folder, and a layer that is being made of it."""

    def __init__(self, work: Path) -> None:
        self.folder, self.target, self.copy = work / "context", work / "target", work / "copy"
        for path in (self.folder, self.target, self.copy):
            path.mkdir(mode=0o755)
        self.roots = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (self.folder, self.target)]

    def tree(self, known: Known | None = None, *rules: str, ahead: int = 0) -> Tree:
        """`ahead`: how long (ns) its files have been as they are."""
        digests = FileDigests(known, private=False, clock=lambda: time.time_ns() + ahead)
        tree = Tree(self.roots[0], own=False, digests=digests, rules=IgnoreRules(rules) if rules else None)

        def copy() -> Tree:
            root = copy_tree(tree, str(self.copy))
            self.roots.append(root)
            return Tree(root, own=False, rules=tree.rules)

        tree.local = LocalSource(copy)
        return tree

    def file(self, name: str, content: str = "content") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def copier(self, tree: Tree, detector: ChangeDetector) -> Copier:
        owner = (os.getuid(), os.getgid())
        return Copier(tree, self.roots[1], Stamp(owner=owner, time=10**9), detector=detector)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    for root in world.roots:
        os.close(root)


def _seen(tree: Tree) -> ChangeDetector:
    assert tree.local
    detector = ChangeDetector(tree.local.copy_once)
    tree.digest("", detector=detector)
    return detector


def test_files_that_did_not_change_are_not_read(world: World) -> None:
    path = world.file("a")
    known: Known = {}
    first = world.tree(known, ahead=LONG)
    digest = first.digest("")
    assert first.digests.is_changed
    found = path.stat()
    known[found.st_dev, found.st_ino] = (*known[found.st_dev, found.st_ino][:3], b"\1" * 32)
    second = world.tree(known, ahead=LONG)
    assert second.digest("") != digest, "the kept digest is what counts"
    assert not second.digests.is_changed


@pytest.mark.parametrize("how", ["content", "times", "replaced"])
def test_any_change_is_seen(world: World, how: str) -> None:
    """Even one that puts size and modification time back."""
    path = world.file("a", "one")
    known: Known = {}
    before = world.tree(known, ahead=LONG).digest("")
    found = path.stat()
    if how == "replaced":
        path.unlink()
    path.write_text("two")
    if how == "times":
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert world.tree(known, ahead=LONG).digest("") != before


def test_a_file_that_has_just_changed_is_read_again(world: World) -> None:
    """It may change once more within the same tick of the clock."""
    world.file("a")
    known: Known = {}
    world.tree(known).digest("")
    assert known == {}


@pytest.mark.parametrize("is_graft", [False, True])
@pytest.mark.parametrize("change", ["write", "rewrite", "remove", "add", "mode", "swap", "fifo", "link"])
def test_a_copy_that_is_not_what_was_seen_is_refused(world: World, change: str, is_graft: bool) -> None:
    path = world.file("d/a")
    world.file("d/b")
    tree = world.tree()
    detector = _seen(tree)
    copier = world.copier(tree, detector)
    copier.upper_writer = UpperDirWriter(tree, 10**9, detector) if is_graft else None
    found = path.stat()
    match change:
        case "write":
            path.write_text("longer content")
        case "rewrite":
            path.write_text("CONTENT")
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        case "mode":
            path.chmod(0o600)
        case "add":
            (path.parent / "c").touch()
        case _:
            path.unlink()
            if change == "swap":
                (path.parent / "new").write_text("content")
                (path.parent / "new").rename(path)
            elif change == "fifo":
                os.mkfifo(path)
            elif change == "link":
                path.symlink_to("/etc/passwd")
    with pytest.raises(ContextChanged):
        _copied(world, copier, detector)


@pytest.mark.parametrize("is_graft", [False, True])
def test_what_keeps_still_is_copied_whole(world: World, is_graft: bool) -> None:
    path = world.file("d/a", "text")
    path.chmod(0o640)
    world.file("d/left-out")
    (world.folder / "empty").mkdir()
    (world.folder / "link").symlink_to("d/a")
    os.link(path, world.folder / "second")
    tree = world.tree({}, "d/left-out")
    detector = _seen(tree)
    copier = world.copier(tree, detector)
    copier.upper_writer = UpperDirWriter(tree, 10**9, detector) if is_graft else None
    _copied(world, copier, detector)
    assert sorted(str(p.relative_to(world.target)) for p in world.target.rglob("*")) == ["d", "d/a", "empty", "link", "second"]
    copy = world.target / "d" / "a"
    assert (copy.read_text(), stat.S_IMODE(copy.stat().st_mode), copy.stat().st_mtime_ns) == ("text", 0o640, 10**9)
    assert copy.stat().st_ino != path.stat().st_ino, "the user's file is never linked"
    assert copy.samefile(world.target / "second")


def _copied(world: World, copier: Copier, detector: ChangeDetector) -> None:
    copier.copy("", "/", into=False)
    if copier.upper_writer is not None:
        copier.upper_writer.write(str(world.target))
    detector.finish()


def test_what_is_left_out_may_change(world: World) -> None:
    log = world.file("d/log")
    world.file("d/a")
    tree = world.tree({}, "d/log")
    detector = _seen(tree)
    log.write_text("more")
    (world.folder / "d" / "other").mkdir()
    (world.folder / "d" / "other").rmdir()
    world.copier(tree, detector).copy("", "/", into=False)
    detector.finish()
    assert [path.name for path in (world.target / "d").iterdir()] == ["a"]


def test_the_copy_that_settles(world: World) -> None:
    """Without what is left out, modes and times as they are, links and second names as such."""
    path = world.file("d/a")
    path.chmod(0o640)
    os.utime(path, ns=(5, 5))
    world.file("d/no")
    os.utime(world.folder / "d", ns=(7, 7))
    os.link(path, world.folder / "second")
    (world.folder / "link").symlink_to("/nowhere")
    os.mkfifo(world.folder / "fifo")
    tree = world.tree({}, "d/no")
    assert tree.local
    copy = tree.local.copy_once()
    assert tree.current() is copy
    assert copy.digest("") == tree.digest("")
    assert {p.name for p in world.copy.rglob("*")} == {"d", "a", "second", "link", "fifo"}
    found = (world.copy / "d" / "a").stat()
    assert (found.st_mode, found.st_mtime_ns, found.st_nlink) == (path.stat().st_mode, 5, 2)
    assert (world.copy / "d").stat().st_mtime_ns == 7


def test_links_name_what_they_lead_to(world: World) -> None:
    """A COPY follows a link that it names, so the digest must, too."""
    target = world.file("real/a", "one")
    (world.folder / "link").symlink_to("real")
    (world.folder / "file").symlink_to("real/a")
    before = [world.tree().digest(name) for name in ("link", "file")]
    assert before[0] == world.tree().digest("real")
    target.write_text("two")
    after = [world.tree().digest(name) for name in ("link", "file")]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_steps_are_done_again_and_then_with_a_copy() -> None:
    said: list[str] = []

    async def work() -> str:
        said.append("step")
        if said.count("step") <= IN_PLACE_ATTEMPTS:
            raise ContextChanged(lambda: said.append("copy"), "a")
        return "done"

    assert asyncio.run(retry_on_change(work)) == "done"
    assert said == [*["step"] * IN_PLACE_ATTEMPTS, "copy", "step"]


def test_no_end_of_changes_is_an_error_that_names_the_file() -> None:
    tries: list[None] = []

    async def work() -> str:
        tries.append(None)
        raise ContextChanged(lambda: None, "logs/out.txt")

    with pytest.raises(ContextChanged, match=r'"/logs/out\.txt" of the build context changed while it was read'):
        asyncio.run(retry_on_change(work))
    assert len(tries) == MOST_ATTEMPTS
