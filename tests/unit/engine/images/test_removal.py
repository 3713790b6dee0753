import pytest

from corten.engine.images.removal import ImageDeleteItem, ImagePruneFilter, RemoveOptions
from corten.errors import Conflict, NotFound
from corten.ids import short_id
from corten.oci.image import chain_ids
from tests.unit.engine.images.ground import Ground

DIGEST = "sha256:" + "d" * 64


async def lines(ground: Ground, name: str, *, force: bool = False, prune_parents: bool = True) -> list[str]:
    removed = await ground.images.removal.remove(name, RemoveOptions(force=force, prune_parents=prune_parents))
    return [f"Untagged {r.untagged}" if r.untagged else f"Deleted {r.deleted}" for r in removed]


async def test_the_last_name_takes_image_and_layers_along(ground: Ground) -> None:
    layers = (ground.layer("a"), ground.layer("b"))
    ground.release_layers()
    image_id = ground.image("app", "app:two", layers=layers)
    assert await lines(ground, "app:two") == ["Untagged app:two"]
    chains = chain_ids(layers)
    found = await lines(ground, "app")
    assert found[:2] == ["Untagged app:latest", f"Deleted {image_id}"]
    assert sorted(found[2:]) == sorted(f"Deleted {c}" for c in chains)
    assert ground.store.layers.all() == []
    assert ground.happened() == [("untag", image_id), ("untag", image_id), ("delete", image_id)]


async def test_digests_of_a_repository_go_with_its_last_tag(ground: Ground) -> None:
    image_id = ground.image("app", f"app@{DIGEST}", f"other@{DIGEST}")
    assert await lines(ground, "app") == ["Untagged app:latest", f"Untagged app@{DIGEST}"]
    assert await lines(ground, f"other@{DIGEST}") == [f"Untagged other@{DIGEST}", f"Deleted {image_id}"]


async def test_by_id_one_tag_goes_along_and_more_need_force(ground: Ground) -> None:
    one = ground.image("one", f"one@{DIGEST}")
    assert await lines(ground, short_id(one)) == ["Untagged one:latest", f"Untagged one@{DIGEST}", f"Deleted {one}"]
    two = ground.image("two", "two:b")
    with pytest.raises(Conflict) as error:
        await lines(ground, two)
    text = f"conflict: unable to delete {short_id(two)} (must be forced) - image is referenced in multiple repositories"
    assert error.value.message == text
    assert await lines(ground, two, force=True) == ["Untagged two:b", "Untagged two:latest", f"Deleted {two}"]


async def test_a_stopped_container_is_a_soft_conflict(ground: Ground) -> None:
    image_id = ground.image("app")
    container = ground.use(image_id)
    with pytest.raises(Conflict) as error:
        await lines(ground, "app")
    assert error.value.message == (
        f'conflict: unable to remove repository reference "app" (must force) - container {short_id(container)} '
        f"is using its referenced image {short_id(image_id)}"
    )
    with pytest.raises(Conflict) as error:
        await lines(ground, image_id)
    text = (
        f"conflict: unable to delete {short_id(image_id)} (must be forced) - image is being used by stopped container {short_id(container)}"
    )
    assert error.value.message == text
    assert ground.store.images.get("app").id == image_id
    assert await lines(ground, "app", force=True) == ["Untagged app:latest", f"Deleted {image_id}"]


async def test_a_running_container_is_a_hard_conflict(ground: Ground) -> None:
    image_id = ground.image("app")
    container = ground.use(image_id, running=True)
    for force in (False, True):
        with pytest.raises(Conflict, match="cannot be forced") as error:
            await lines(ground, image_id, force=force)
        assert error.value.message.endswith(f"image is being used by running container {short_id(container)}")
    assert await lines(ground, "app", force=True) == ["Untagged app:latest"]
    assert ground.store.images.find_whole(image_id) == image_id


async def test_another_tag_may_always_go(ground: Ground) -> None:
    image_id = ground.image("app", "app:two")
    ground.use(image_id, running=True)
    assert await lines(ground, "app:two") == ["Untagged app:two"]


async def test_parents_are_kept_by_children_and_pruned_with_the_last(ground: Ground) -> None:
    parent = ground.image("base")
    child = ground.image("app", parent=parent)
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image has dependent child images"):
        await lines(ground, parent, force=True)
    assert await lines(ground, "base") == ["Untagged base:latest"]
    assert await lines(ground, "app") == ["Untagged app:latest", f"Deleted {child}", f"Deleted {parent}"]


async def test_no_prune_keeps_untagged_parents(ground: Ground) -> None:
    parent = ground.image()
    child = ground.image("app", parent=parent)
    assert await lines(ground, "app", prune_parents=False) == ["Untagged app:latest", f"Deleted {child}"]
    assert ground.store.images.find_whole(parent) == parent


async def test_a_tagged_parent_stays(ground: Ground) -> None:
    parent = ground.image("base")
    child = ground.image("app", parent=parent)
    assert await lines(ground, "app") == ["Untagged app:latest", f"Deleted {child}"]


async def test_shared_layers_stay(ground: Ground) -> None:
    shared, own = ground.layer("a"), ground.layer("b")
    ground.release_layers()
    ground.image("one", layers=(shared,))
    two = ground.image("two", layers=(shared, own))
    assert await lines(ground, "two") == ["Untagged two:latest", f"Deleted {two}", f"Deleted {chain_ids((shared, own))[1]}"]
    assert [layer.diff_id for layer in ground.store.layers.all()] == [shared]


async def test_an_unknown_image_is_told(ground: Ground) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await lines(ground, "nope")


async def test_prune_takes_untagged_unused_images(ground: Ground) -> None:
    layer = ground.layer("a", 1000)
    ground.release_layers()
    tagged, dangling, used = ground.image("app"), ground.image(layers=(layer,), created=5), ground.image(created=6)
    ground.use(used)
    pruned = await ground.images.removal.prune(ImagePruneFilter(dangling_only=True))
    assert [r for r in pruned.removed if r.deleted == dangling]
    assert pruned.reclaimed == 1000
    assert {i.id for i in ground.store.images.all()} == {tagged, used}
    assert ground.happened()[-1] == ("prune", "")


async def test_prune_all_takes_tagged_ones_too_and_filters_hold(ground: Ground) -> None:
    ground.image("keep:label", Labels={"keep": ""})
    ground.image("keep:new", created=3000)
    ground.image("keep:other", Labels={"a": "c"})
    gone = ground.image("gone", "gone:two", Labels={"a": "b"}, created=60)
    pruned = await ground.images.removal.prune(
        ImagePruneFilter(dangling_only=False, until=2000 * 10**9, labels=["a=b"], not_labels=["keep"])
    )
    assert pruned.removed == (ImageDeleteItem(untagged="gone:latest"), ImageDeleteItem(untagged="gone:two"), ImageDeleteItem(deleted=gone))
    assert len(ground.store.images.all()) == 3
