"""Removed images: what the trash gives back, what a dry_run says, and what a label protects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.engine.dry_run import dry_run
from corten.engine.images.removal import ImagePruneFilter, RemoveOptions
from corten.errors import Conflict
from corten.oci.reference import parse_reference
from corten.store.trashbin.images import ImageBin
from tests.unit.engine.images.ground import Ground

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground.open(tmp_path / "root")
    made.store.bin.keep = 1
    yield made
    made.store.close()


def images_in_trash(ground: Ground) -> ImageBin:
    return ImageBin(ground.store.bin, ground.store.images, ground.store.layers, ground.store.origins)


async def test_an_image_comes_back_with_tags_digests_and_layers(ground: Ground) -> None:
    layers = (ground.layer("a", 700), ground.layer("b", 300))
    ground.release_layers()
    image_id = ground.image("app", "app:two", f"app@{DIGEST}", layers=layers)
    before = ground.store.images.by_id(image_id)
    pruned = await ground.images.removal.prune(ImagePruneFilter(dangling_only=False))
    assert pruned.reclaimed == 1000
    assert ground.store.images.all() == []
    assert {layer.diff_id for layer in ground.store.layers.all()} == set(layers)
    entry = ground.store.bin.get("app:two")
    assert (entry.size, entry) == (1000, ground.store.bin.get("app"))
    assert images_in_trash(ground).restore(entry) == [image_id]
    assert ground.store.images.by_id(image_id) == before
    assert ground.store.bin.all() == []
    await ground.images.removal.remove(image_id, RemoveOptions(force=True))
    images_in_trash(ground).purge(ground.store.bin.all()[0])
    assert {layer.diff_id for layer in ground.store.layers.collect()} == set(layers)


async def test_names_that_went_one_by_one_come_back_together(ground: Ground) -> None:
    ground.store.bin.keep = 10**12
    image_id = ground.image("app:1", "app:2", "other:3")
    for name in ("app:1", "other:3", "app:2"):
        await ground.images.removal.remove(name)
    (entry,) = ground.store.bin.all()
    assert entry.body["tags"] == ["app:1", "app:2", "other:3"]
    assert ground.store.bin.get("other:3") == entry
    ground.image("other:3", created=60)  # taken meanwhile: only what went with the image itself is insisted on
    assert images_in_trash(ground).restore(entry) == [image_id]
    restored = ground.store.images.by_id(image_id)
    assert restored is not None
    assert restored.repo_tags == ("app:1", "app:2")


async def test_names_that_went_long_ago_do_not_come_back(ground: Ground) -> None:
    image_id = ground.image("app:1", "app:2")
    await ground.images.removal.remove("app:1")
    ground.store.bin.keep = 10**12
    ground.store.db.execute("UPDATE lost_names SET lost = 5")
    await ground.images.removal.remove("app:2")
    images_in_trash(ground).restore(ground.store.bin.all()[0])
    restored = ground.store.images.by_id(image_id)
    assert restored is not None
    assert restored.repo_tags == ("app:2",)
    assert ground.store.db.query("SELECT * FROM lost_names") == []


async def test_a_name_that_means_another_image_now_is_told(ground: Ground) -> None:
    first = ground.image("app", created=60)
    await ground.images.removal.remove("app")
    second = ground.image("app", created=120)
    bin, (entry,) = images_in_trash(ground), ground.store.bin.all()
    with pytest.raises(Conflict, match="the name app:latest means another image now"):
        bin.restore(entry)
    assert bin.restore(entry, parse_reference("old").with_default_tag()) == [first]
    assert ground.store.images.get("app").id == second
    assert ground.store.images.get("old").id == first


async def test_a_dry_run_says_what_then_happens_and_changes_nothing(ground: Ground) -> None:
    shared, own = ground.layer("a", 100), ground.layer("b", 50)
    ground.release_layers()
    ground.image("one", layers=(shared,))
    ground.image("two", "two:b", layers=(shared, own))
    used = ground.image("used", layers=(own,))
    ground.use(used)
    everything = ImagePruneFilter(dangling_only=False)
    before = ground.store.images.all()
    with dry_run(ground.store.db):
        said = ground.images.removal.dry_run_prune(everything, RemoveOptions())
        removed = [ground.images.removal.dry_run(used, RemoveOptions(force=True))]
    assert ground.store.images.all() == before
    assert ground.store.bin.all() == []
    assert await ground.images.removal.prune(everything) == said
    assert [await ground.images.removal.remove(used, RemoveOptions(force=True))] == removed


async def test_a_labelled_image_stays(ground: Ground) -> None:
    image_id = ground.image("app", Labels={"corten.protected": "true"})
    with pytest.raises(Conflict, match=r"image app:latest is protected by its label"):
        await ground.images.removal.remove("app", RemoveOptions(force=True))
    pruned = await ground.images.removal.prune(ImagePruneFilter(dangling_only=False))
    assert (pruned.removed, pruned.kept) == ((), ("app:latest",))
    await ground.images.removal.remove("app", RemoveOptions(force_protected=True))
    assert ground.store.images.find_whole(image_id) is None
