"""Damage of stored layers: found file by file, named, and nothing else is complained of."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.errors import EngineError
from corten.store.layers import Layer
from corten.store.layertar.examine import examine_layer
from corten.store.layertar.unpack import unpack_layer
from corten.store.opened import Store, open_store
from tests.unit.store.tarballs import GNU, Member, chunked, tarball
from tests.unit.store.test_layers import PLAIN, some_member, unpack


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def faults(store: Store, layer: Layer) -> list[tuple[str, str, str]]:
    return [(f.kind, f.path, f.what) for f in examine_layer(store.layers.directory(layer.diff_id), layer.diff_id).faults]


def test_a_whole_layer_has_no_faults(store: Store) -> None:
    layer = unpack(store, tarball(PLAIN) + bytes(1000) + b"trailing")
    examined = examine_layer(store.layers.directory(layer.diff_id), layer.diff_id)
    assert examined.faults == ()
    assert (examined.files, examined.size) == (10, 4 + 3000 + 1)


def rewrite(path: Path, data: bytes) -> None:
    """As a failing disk would: the content alone."""
    found = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda root: (root / "etc/suid").unlink(), [("missing", "/etc/suid", "it is not there")]),
        (lambda root: rewrite(root / "etc/suid", b"y" * 3000), [("changed", "/etc/suid", "its content changed")]),
        (lambda root: rewrite(root / "etc/suid", b"x" * 2999), [("changed", "/etc/suid", "it is too short")]),
        (lambda root: rewrite(root / "etc/suid", b"x" * 3001), [("changed", "/etc/suid", "it has 3001 bytes, not 3000")]),
        (lambda root: (root / "etc/suid").chmod(0o755), [("changed", "/etc/suid", "its mode is 0755, not 4755")]),
        (lambda root: os.utime(root / "etc/suid"), [("changed", "/etc/suid", "its time changed")]),
        (lambda root: (root / "etc/more").write_text("x"), [("extra", "/etc/more", "the layer did not bring it")]),
        (lambda root: shutil.rmtree(root / "absolute/implied"), [
            ("missing", "/absolute/implied", "it is not there"), ("missing", "/absolute/implied/file", "it is not there")]),
        (lambda root: (root / "pipe").unlink(), [("missing", "/pipe", "it is not there")]),
        (lambda root: ((root / "etc/link").unlink(), (root / "etc/link").symlink_to("other")), [
            ("changed", "/etc/link", 'it points to "other", not to "/nowhere/../.."')]),
        (lambda root: ((root / "pipe").unlink(), (root / "pipe").mkdir()), [("changed", "/pipe", "it is another kind of file")]),
        (lambda root: (root / "etc/empty").write_bytes(b"1"), [("changed", "/etc/empty", "it has 1 bytes, not 0")]),
        (lambda root: (root / "../split").write_bytes(b"x"), [
            ("record", "/", "a stored layer is damaged: its split data is unreadable")]),
        (lambda root: (root / "../split").unlink(), [("record", "/", "a stored layer is damaged: its split data: [Errno 2] No such file")]),
        (shutil.rmtree, [("record", "/", "no such file")]),
    ],
)  # fmt: skip
def test_every_kind_of_damage_is_named(store: Store, damage: Callable[[Path], object], found: list[tuple[str, str, str]]) -> None:
    layer = unpack(store, tarball(PLAIN))
    damage(Path(store.layers.path(layer.diff_id)))
    seen = faults(store, layer)
    assert [(kind, path) for kind, path, _ in seen] == [(kind, path) for kind, path, _ in found]
    for (_, _, what), (_, _, wanted) in zip(seen, found, strict=True):
        assert wanted in what


def test_a_hard_link_that_became_a_file_of_its_own(store: Store) -> None:
    layer = unpack(store, tarball(PLAIN))
    root = Path(store.layers.path(layer.diff_id))
    (root / "etc/hard").unlink()
    shutil.copy2(root / "etc/passwd", root / "etc/hard")
    assert faults(store, layer) == [("changed", "/etc/hard", "it is not the same file as /etc/passwd any more")]


@pytest.mark.parametrize(
    "members",
    [
        [Member("f", data=b"one"), Member("h", "hard", link="f"), Member("f", data=b"3")],
        [Member("d/f", data=b"one"), Member("d/g", data=b"two"), Member("d", data=b"file"), Member("d/", "dir"), Member("d/f", data=b"3")],
        [Member("real/", "dir"), Member("alias", "link", link="real"), Member("alias/f", data=b"one"), Member("real/f", data=b"two2")],
        [Member("a/f", data=b"one"), Member("b/", "dir"), Member("a", "link", link="b"), Member("a/f", data=b"two")],
        [Member("b/c/", "dir"), Member("x/a", "link", link="../b/./c"), Member("x/a/f", data=b"1"), Member("y", "link", link="/x/a"),
         Member("y/g", data=b"2")],
    ],
)  # fmt: skip
def test_replacements_and_links_on_the_way_are_understood(store: Store, members: list[Member]) -> None:
    assert faults(store, unpack(store, tarball(members, GNU))) == []


def test_a_damaged_layer_is_brought_again_and_replaced(store: Store) -> None:
    data = tarball([Member("f", data=b"one")])
    with store.layers.lease() as lease:
        layer = unpack_layer(store.layers, chunked(data, 100), lease=lease)
        path = Path(store.layers.path(layer.diff_id)) / "f"
        rewrite(path, b"two")
        assert unpack_layer(store.layers, chunked(data, 100), lease=lease) == layer
        assert path.read_bytes() == b"two"  # nobody had noted the damage
        store.layers.damage.note(layer.diff_id)
        assert store.layers.hold(layer.diff_id, lease) is None
        store.snapshots.prepare("c1", [layer.diff_id])
        assert unpack_layer(store.layers, chunked(data, 100), lease=lease) == layer
        assert path.read_bytes() == b"one"
        assert store.layers.hold(layer.diff_id, lease) == layer
    replaced = Path(store.layers.directory(layer.diff_id)) / "replaced"
    assert (replaced / "diff/f").read_bytes() == b"two"  # a container may be running on it
    assert faults(store, layer) == []


def test_what_was_replaced_goes_when_no_container_is_left(tmp_path: Path) -> None:
    data = tarball([Member("f", data=b"one")])
    store = open_store(str(tmp_path / "root"))
    store.images.add(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
    with store.layers.lease() as lease:
        layer = unpack_layer(store.layers, chunked(data, 100), lease=lease)
        store.snapshots.prepare("c1", [layer.diff_id])
        store.layers.damage.note(layer.diff_id)
        unpack_layer(store.layers, chunked(data, 100), lease=lease)
    replaced = Path(store.layers.directory(layer.diff_id)) / "replaced"
    store.layers.keeps.keep("a test", layer.diff_id)
    for there in (True, False):
        store.close()
        store = open_store(str(tmp_path / "root"))
        assert replaced.exists() is there
        if there:
            store.snapshots.remove("c1")
    store.close()


@settings(max_examples=60, deadline=None)
@given(found=st.lists(some_member(), max_size=8))
def test_whatever_is_unpacked_is_found_whole(found: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder + "/root")
        try:
            layer = unpack(store, tarball(found, GNU))
        except EngineError:
            return
        finally:
            store.close()
        assert examine_layer(store.layers.directory(layer.diff_id), layer.diff_id).faults == ()
