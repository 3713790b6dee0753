import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.errors import Conflict, Invalid, NotFound
from corten.ids import DiffId, Digest, ImageId
from corten.oci.reference import parse_reference
from corten.store.opened import Store, open_store
from corten.store.origins import LayerBlob, StoredManifest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "root"))
    yield opened
    opened.close()


def config(number: int, layers: tuple[str, ...] = ()) -> bytes:
    return json.dumps({"os": "linux", "author": str(number), "rootfs": {"type": "layers", "diff_ids": layers}}).encode()


def add(store: Store, number: int, *names: str) -> ImageId:
    image_id = store.images.add(config(number))
    for name in names:
        store.images.tag(parse_reference(name), image_id)
    return image_id


def test_an_image_is_found_by_every_name(store: Store) -> None:
    digest = "sha256:" + "d" * 64
    image_id = add(store, 1, "app", "user/app:v1", f"app@{digest}")
    short = image_id.removeprefix("sha256:")
    named = ("app", "app:latest", "docker.io/library/app", "user/app:v1", f"app@{digest}", f"app:nope@{digest}")
    for name in (*named, image_id, short, short[:6], f"sha256:{short[:6]}"):
        assert store.images.get(name).id == image_id
    found = store.images.get("app")
    assert found.repo_tags == ("app:latest", "user/app:v1")
    assert found.repo_digests == (f"app@{digest}",)
    assert found.last_tagged > 0
    assert found.raw == config(1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope", "No such image: nope:latest"),
        ("nope:x", "No such image: nope:x"),
        ("docker.io/library/zz:1", "No such image: zz:1"),
        ("sha256:abc", "No such image: sha256:abc"),
        ("e" * 64, "No such image: sha256:" + "e" * 64),
        ("sha256:" + "e" * 64, "No such image: sha256:" + "e" * 64),
        ("x/y@sha256:" + "e" * 64, "No such image: x/y@sha256:" + "e" * 64),
    ],
)
def test_missing_images_are_told_in_dockers_words(store: Store, name: str, text: str) -> None:
    with pytest.raises(NotFound) as error:
        store.images.get(name)
    assert error.value.message == text


def test_a_tag_wins_over_an_id_and_an_ambiguous_beginning_is_nothing(store: Store) -> None:
    ids = [add(store, number) for number in range(40)]
    beginnings = [i.removeprefix("sha256:")[0] for i in ids]
    repeated = next(b for b in beginnings if beginnings.count(b) > 1)
    assert store.images.find(repeated) is None
    tagged = add(store, 99, ids[0].removeprefix("sha256:")[:6])
    assert store.images.get(ids[0].removeprefix("sha256:")[:6]).id == tagged
    with pytest.raises(Invalid):
        store.images.get("UPPER")


def test_tags_move_and_go(store: Store) -> None:
    one, two = add(store, 1, "app"), add(store, 2)
    assert store.images.tag(parse_reference("app"), two) == one
    assert store.images.tag(parse_reference("app"), two) is None
    assert store.images.get("app").id == two
    assert store.images.get(one).names == ()
    store.images.untag(["docker.io/library/app:latest", "docker.io/library/never:x"])
    assert store.images.find("app") is None
    store.images.remove(two)
    assert [i.id for i in store.images.all()] == [one]
    assert store.images.find_whole(two) is None


def test_an_image_needs_its_layers_and_a_config(store: Store) -> None:
    with pytest.raises(NotFound, match="not stored"):
        store.images.add(config(1, ("sha256:" + "a" * 64,)))
    with pytest.raises(Invalid):
        store.images.add(b"{")
    assert store.images.all() == []


def test_parents_and_children(store: Store) -> None:
    parent = add(store, 1)
    child = store.images.add(config(2), parent=parent)
    assert store.images.children(parent) == [child]
    assert store.images.get(child).parent == parent


def test_origins_are_remembered_until_the_image_goes(store: Store) -> None:
    image_id = add(store, 1)
    digest, diff_id = Digest("sha256:" + "b" * 64), DiffId("sha256:" + "c" * 64)
    store.origins.add_blob(LayerBlob(digest, diff_id, 5, "gzip", ""))
    store.origins.add_blob(LayerBlob(digest, diff_id, 5, "gzip", "ghcr.io/x/y"))
    assert store.origins.layer_of(digest) == diff_id
    assert store.origins.layer_of(Digest("sha256:" + "0" * 64)) is None
    assert [b.repository for b in store.origins.blobs_of(diff_id)] == ["ghcr.io/x/y", ""]
    store.origins.add_manifest(StoredManifest(digest, image_id, "m", b"{}"))
    assert [m.raw for m in store.origins.manifests_of(image_id)] == [b"{}"]
    store.images.remove(image_id)
    assert store.origins.manifests_of(image_id) == []


def test_snapshots_are_prepared_mounted_and_removed(store: Store) -> None:
    store.snapshots.prepare("c1", [], volatile=True)
    (mount,) = store.snapshots.mounts("c1")
    upper = store.snapshots.upper("c1")
    assert mount["type"] == "overlay"
    assert mount["options"] == [
        f"lowerdir+={store.layers.empty_path()}", f"upperdir={upper}", f"workdir={Path(upper).with_name('work')}", "volatile",
    ]  # fmt: skip
    with pytest.raises(Conflict):
        store.snapshots.prepare("c1", [])
    with pytest.raises(Invalid):
        store.snapshots.prepare("../c1", [])
    Path(upper, "f").write_bytes(b"12345")
    assert store.snapshots.usage("c1").size == 5
    store.snapshots.remove("c1")
    store.snapshots.remove("c1")
    assert not Path(upper).exists()
    with pytest.raises(NotFound):
        store.snapshots.mounts("c1")


def test_a_volatile_mount_can_be_repeated(store: Store) -> None:
    store.snapshots.prepare("c1", [], volatile=True)
    left = Path(store.snapshots.upper("c1")).with_name("work") / "work" / "incompat" / "volatile"
    left.mkdir(parents=True)
    store.snapshots.mounts("c1")
    assert not left.parent.exists()


def test_start_mends_what_a_crash_left(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    store = open_store(root)
    store.snapshots.prepare("kept", [])
    store.snapshots.prepare("volatile", [], volatile=True)
    Path(store.snapshots.upper("volatile"), "f").write_text("x")
    Path(store.snapshots.upper("kept"), "f").write_text("x")
    store.db.execute("UPDATE snapshots SET boot = 'an earlier one'")
    store.close()
    for rubbish in (store.root.work, store.root.trash, store.root.layers, store.root.snapshots):
        Path(rubbish, "rubbish", "deep").mkdir(parents=True)
    store = open_store(root)
    store.background.wait()
    assert [len(list(Path(d).iterdir())) for d in (store.root.work, store.root.trash, store.root.snapshots)] == [0, 0, 2]
    assert [p.name for p in Path(store.root.layers).iterdir() if p.name != "empty"] == []
    assert Path(store.snapshots.upper("kept"), "f").exists()
    assert not Path(store.snapshots.upper("volatile"), "f").exists()
    store.close()
