import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.errors import EngineError, Invalid, NotFound
from corten.ids import DiffId
from corten.store.layers import Layer
from corten.store.layertar.rebuild import layer_tar, verify_layer
from corten.store.layertar.unpack import Limits, unpack_layer
from corten.store.opened import Store, open_store
from tests.unit.store.tarballs import GNU, PAX, Member, chunked, tarball


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def unpack(store: Store, data: bytes, chunk: int = 65536, limits: Limits = Limits()) -> Layer:  # noqa: B008
    with store.layers.lease() as lease:
        return unpack_layer(store.layers, chunked(data, chunk), lease=lease, limits=limits)


def leftovers(store: Store) -> list[str]:
    store.background.wait()
    return os.listdir(store.root.work) + os.listdir(store.root.trash)


def rebuilt(store: Store, layer: Layer) -> bytes:
    return b"".join(layer_tar(store.layers.directory(layer.diff_id)))


PLAIN = [
    Member("./", "dir", mode=0o750),
    Member("./etc/", "dir", mode=0o755, mtime=1_600_000_000),
    Member("./etc/passwd", data=b"root", mode=0o640, mtime=1.5),
    Member("./etc/suid", data=b"x" * 3000, mode=0o4755),
    Member("./etc/link", "link", link="/nowhere/../.."),
    Member("./etc/hard", "hard", link="./etc/passwd"),
    Member("./pipe", "fifo", mode=0o600),
    Member("/absolute/implied/file", data=b"y"),
    Member("./a/../etc//./empty"),
]


def test_a_layer_is_unpacked_with_its_metadata_and_gives_its_tar_back(store: Store) -> None:
    data = tarball(PLAIN) + bytes(1000) + b"trailing"
    layer = unpack(store, data)
    assert (layer.diff_id, layer.tar_size, layer.entries) == (digest_of(data), len(data), len(PLAIN))
    assert layer.size == 4 + 3000 + len("/nowhere/../..") + 1
    root = Path(store.layers.path(layer.diff_id))
    assert root.stat().st_mode & 0o7777 == 0o750
    assert (root / "etc/passwd").read_bytes() == b"root"
    assert (root / "etc/passwd").stat().st_mtime_ns == 1_500_000_000
    assert (root / "etc/passwd").stat().st_mode & 0o7777 == 0o640
    assert (root / "etc/suid").stat().st_mode & 0o7777 == 0o4755
    assert (root / "etc").stat().st_mtime == 1_600_000_000
    assert os.readlink(root / "etc/link") == "/nowhere/../.."
    assert (root / "etc/hard").samefile(root / "etc/passwd")
    assert (root / "pipe").is_fifo()
    assert (root / "absolute/implied/file").read_bytes() == b"y"
    assert (root / "absolute").stat().st_mode & 0o7777 == 0o755
    assert (root / "etc/empty").read_bytes() == b""
    assert rebuilt(store, layer) == data
    verify_layer(store.layers.directory(layer.diff_id), layer.diff_id)


@pytest.mark.parametrize(
    "members",
    [
        [Member("f", data=b"one"), Member("f", data=b"two"), Member("f", data=b"three")],
        [Member("f", data=b"one"), Member("h", "hard", link="f"), Member("h", data=b"two"), Member("f", data=b"3")],
        [Member("d/f", data=b"one"), Member("d/g", data=b"two"), Member("d", data=b"file"), Member("d/", "dir"), Member("d/f", data=b"3")],
        [Member("real/", "dir"), Member("alias", "link", link="real"), Member("alias/f", data=b"one"), Member("real/f", data=b"two")],
        [Member("a/f", data=b"one"), Member("b/", "dir"), Member("a", "link", link="b"), Member("a/f", data=b"two")],
        [Member("f", data=b"one"), Member("f", "link", link="x"), Member("f", "dir"), Member("f", "fifo"), Member("f", data=b"end")],
        [Member("f", data=b"one"), Member("f", "hard", link="./f"), Member("e"), Member("e", data=b"now full"), Member("e")],
    ],
)  # fmt: skip
def test_replaced_members_do_not_spoil_the_tar(store: Store, members: list[Member]) -> None:
    data = tarball(members, GNU)
    layer = unpack(store, data)
    assert rebuilt(store, layer) == data
    last = members[-1]
    if last.kind == "file":
        assert (Path(store.layers.path(layer.diff_id)) / last.name).read_bytes() == last.data


def test_sparse_files_are_sparse_and_come_back(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "s"
    with source.open("wb") as file:
        file.seek(8 << 20)
        file.write(b"data" * 100)
        file.truncate(16 << 20)
    for form in ("gnu", "posix"):
        os.system(f"tar -C {tmp_path} --format={form} -S -cf {tmp_path}/{form}.tar s")
        data = (tmp_path / f"{form}.tar").read_bytes()
        layer = unpack(store, data)
        unpacked = Path(store.layers.path(layer.diff_id)) / "s"
        assert unpacked.read_bytes() == source.read_bytes()
        assert unpacked.stat().st_blocks * 512 < 1 << 20
        assert layer.size == 16 << 20
        assert rebuilt(store, layer) == data


OUTSIDE = "../" * 12 + "tmp/corten-escape"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([Member(OUTSIDE, data=b"x")], "is outside of the archive's root"),
        ([Member("a/../../x", data=b"x")], "is outside of the archive's root"),
        ([Member("h", "hard", link="../../etc/passwd")], "is outside of the archive's root"),
        ([Member("h", "hard", link="/etc/passwd")], 'unpacking "h" (link to "/etc/passwd")'),
        ([Member("l", "link", link="/etc"), Member("h", "hard", link="l/passwd")], "no such file"),
        ([Member("l", "link", link="/proc/self/root"), Member("l/x", data=b"x")], "unpacking"),
        ([Member("l", "link", link="l"), Member("l/x", data=b"x")], "unpacking"),
        ([Member("f", data=b"x"), Member("f/x", data=b"x")], "not a directory"),
        ([Member("n" * 256, data=b"x")], "too long"),
        ([Member("/".join(["d" * 250] * 20), data=b"x")], "too long"),
        ([Member(".", data=b"x")], "root is no directory"),
        ([Member("x", "link", link="y" * 5000)], "too long"),
    ],
)  # fmt: skip
def test_hostile_archives_are_contained_and_leave_nothing(store: Store, members: list[Member], message: str) -> None:
    with pytest.raises(Invalid) as error:
        unpack(store, tarball([Member("before/file", data=b"1"), *members]))
    assert message in error.value.message
    assert store.layers.all() == []
    assert leftovers(store) == []
    assert os.listdir(store.root.layers) == []
    assert not Path("/tmp/corten-escape").exists()


def test_links_are_followed_inside_the_root_only(store: Store) -> None:
    members = [Member("etc/", "dir"), Member("abs", "link", link="/etc"), Member("up", "link", link="../../../../../etc"),
               Member("abs/one", data=b"1"), Member("up/two", data=b"2")]  # fmt: skip
    layer = unpack(store, tarball(members))
    root = Path(store.layers.path(layer.diff_id))
    assert sorted(p.name for p in (root / "etc").iterdir()) == ["one", "two"]
    assert not Path("/etc/one").exists()
    assert not Path("/etc/two").exists()


def test_deep_trees_are_made_and_removed(store: Store) -> None:
    deep = "/".join(["d"] * 220)
    layer = unpack(store, tarball([Member(deep, data=b"x"), Member("d/", "dir")]))
    assert layer.entries == 2
    store.layers.collect()
    assert leftovers(store) == []
    with pytest.raises(Invalid):
        unpack(store, tarball([Member("/".join(["d"] * 2200), data=b"x")]))
    layer = unpack(store, tarball([Member(deep, data=b"x"), Member("d", data=b"replaced")]))
    assert layer.entries == 2


def test_a_bomb_ends_at_the_limit(store: Store) -> None:
    import gzip

    bomb = gzip.compress(tarball([Member("zeros", data=bytes(8 << 20))]))
    with pytest.raises(Invalid, match="larger than 4194304 bytes"):
        unpack(store, bomb, limits=Limits(4 << 20))
    assert leftovers(store) == []
    unpack(store, bomb, limits=Limits(16 << 20))


def test_directories_that_only_paths_imply_count(store: Store) -> None:
    members = [Member(f"{n}/" + "/".join("d" * 40), data=b"x") for n in range(40)]
    unpack(store, tarball(members))
    with pytest.raises(Invalid, match="the limit"):
        unpack(store, tarball([*members, Member("more")]), limits=Limits(1 << 20))
    assert leftovers(store) == []


def test_a_wrong_diff_id_is_refused(store: Store) -> None:
    data = tarball([Member("f", data=b"x")])
    with store.layers.lease() as lease, pytest.raises(Invalid, match="expected sha256:aa"):
        unpack_layer(store.layers, chunked(data, 100), lease=lease, expected=DiffId("sha256:" + "a" * 64))
    assert store.layers.all() == []


def test_what_nothing_holds_is_collected(store: Store) -> None:
    data = tarball([Member("f", data=b"x")])
    with store.layers.lease() as lease:
        layer = unpack_layer(store.layers, chunked(data, 512), lease=lease)
        assert store.layers.collect() == []
        again = unpack_layer(store.layers, chunked(data, 512), lease=lease)
        assert again == layer
        store.snapshots.prepare("c1", [layer.diff_id])
    assert store.layers.collect() == []
    store.snapshots.remove("c1")
    assert store.layers.collect() == [layer]
    assert store.layers.find(layer.diff_id) is None
    with pytest.raises(NotFound):
        store.snapshots.prepare("c2", [layer.diff_id])
    assert store.snapshots.keys() == []
    assert leftovers(store) == []


def test_damage_of_a_stored_layer_is_found_and_named(store: Store) -> None:
    layer = unpack(store, tarball([Member("etc/passwd", data=b"x" * 100)]))
    directory = store.layers.directory(layer.diff_id)
    file = Path(directory, "diff/etc/passwd")
    for spoil in (lambda: file.write_bytes(b"y" * 100), lambda: file.write_bytes(b"y"), file.unlink):
        spoil()
        with pytest.raises(EngineError, match='"etc/passwd"'):
            verify_layer(directory, layer.diff_id)
    split = Path(directory, "split")
    for spoil in (lambda: split.write_bytes(split.read_bytes()[:-5]), lambda: split.write_bytes(b"nonsense"), split.unlink):
        spoil()
        with pytest.raises(EngineError, match="split"):
            verify_layer(directory, layer.diff_id)


parts = st.sampled_from(["a", "b", "c"])
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
kinds = st.sampled_from(["file", "file", "file", "dir", "link", "hard"])


@st.composite
def some_member(draw: st.DrawFn) -> Member:
    kind = draw(kinds)
    name = draw(paths) + ("/" if kind == "dir" and draw(st.booleans()) else "")
    return Member(name, kind, draw(st.binary(max_size=1500)) if kind == "file" else b"", draw(paths | st.just("../a")))


@settings(max_examples=15, deadline=None)
@given(st.lists(some_member(), max_size=12), st.sampled_from([GNU, PAX]), st.integers(300, 5000))
def test_any_archive_is_refused_or_given_back_exactly(found: list[Member], format: int, chunk: int) -> None:
    data = tarball(found, format)
    folder = tempfile.mkdtemp()
    store = open_store(folder)
    try:
        layer = unpack(store, data, chunk)
        assert rebuilt(store, layer) == data
        assert layer.diff_id == digest_of(data)
    except Invalid:
        assert store.layers.all() == []
        assert leftovers(store) == []
    finally:
        store.close()
        shutil.rmtree(folder)
