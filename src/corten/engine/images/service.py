"""The image side of the engine as one value for the API and for other nouns."""

from dataclasses import dataclass

from corten.engine.containers.catalog import Catalog as Containers
from corten.engine.containers.state import is_up
from corten.engine.events import Events
from corten.engine.images.catalog import Catalog, ImageUser, Users
from corten.engine.images.removal import Removal
from corten.engine.images.transfer import Transfer
from corten.store.layertar.unpack import UNLIMITED, Limits
from corten.store.opened import Store


@dataclass(frozen=True, slots=True)
class Images:
    catalog: Catalog
    removal: Removal
    transfer: Transfer


def make_images(store: Store, users: Users, events: Events, limits: Limits = UNLIMITED) -> Images:
    """`users` tells which containers use which image; `limits` bound what one layer may unpack to."""
    catalog = Catalog(store.images, store.layers, store.origins, users, events)
    return Images(catalog, Removal(store.images, store.layers, catalog, users, events), Transfer(store, catalog, limits))


def users_of(containers: Containers) -> Users:
    """Containers as the image side needs them."""
    return lambda: [ImageUser(entry.value.id, entry.value.image_id, is_up(entry.value.state)) for entry in containers]
