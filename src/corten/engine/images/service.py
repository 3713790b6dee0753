"""The image side of the engine as one value for the API and for other nouns."""

from collections.abc import Callable

from corten.engine.events import Events
from corten.engine.images.archives import ImageArchives
from corten.engine.images.catalog import ImageCatalog, ImageUser, ImageUsers
from corten.engine.images.removal import ImageRemoval
from corten.engine.images.verification import Refetch, Verification
from corten.engine.records.containers import ContainerCatalog as Containers
from corten.engine.records.state import is_up
from corten.engine.values.container import MountPoint
from corten.errors import Invalid
from corten.ids import ImageId
from corten.store.images import Images as StoredImages
from corten.store.layertar.unpack import UNLIMITED, Limits
from corten.store.opened import Store


class Images:
    """`users` tells which containers use which image; `limits` bound what one layer may unpack to; `refetch` repairs layers."""

    def __init__(self, store: Store, users: ImageUsers, events: Events, refetch: Refetch, limits: Limits = UNLIMITED) -> None:
        self.catalog = ImageCatalog(store.images, store.layers, store.origins, users, events)
        self.removal = ImageRemoval(store, self.catalog, users, events)
        self.archives = ImageArchives(store, self.catalog, limits)
        self.verification = Verification(store, refetch, events)


def users_of(containers: Containers, images: StoredImages) -> ImageUsers:
    """Containers as the image side needs them: an image that one mounts is used by it, too."""

    def users() -> list[ImageUser]:
        found = [ImageUser(entry.value.id, entry.value.image_id, is_up(entry.value.state)) for entry in containers]
        mounted = [(entry.value, point) for entry in containers for point in entry.value.mounts if point.type == "image"]
        used = [(container, image) for container, point in mounted if (image := _mounted(point, images))]
        return [*found, *(ImageUser(container.id, image, is_up(container.state)) for container, image in used)]

    return users


def _mounted(point: MountPoint, images: StoredImages) -> ImageId | None:
    """The image, as long as its name means the one that is mounted."""
    try:
        found = images.find_id(point.name)
    except Invalid:
        return None
    image = images.by_id(found) if found else None
    return image.id if image is not None and image.layers == point.layers else None


def reclaimable_by(store: Store, users: ImageUsers) -> Callable[[], int]:
    """Tells how many bytes `image prune -a` would give back: layers that only images without containers stack."""

    def total() -> int:
        used = {user.image for user in users()}
        kept = {diff_id for image in store.images.all() if image.id in used for diff_id in image.layers}
        return sum(layer.size for layer in store.layers.all() if layer.diff_id not in kept)

    return total
