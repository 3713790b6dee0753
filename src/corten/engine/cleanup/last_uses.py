"""When images and volumes were last used: a container was made from one, started with it, or ended."""

from typing import Final

from corten.engine.records.containers import ContainerCatalog
from corten.engine.records.state import has_process
from corten.engine.values.container import Container
from corten.errors import Invalid
from corten.store.images import Images
from corten.store.records.uses import Uses

ACTIONS: Final = frozenset(("create", "start", "die"))


class LastUses:
    """Belongs to the event loop. Times are ns since the epoch; what a running container needs is in use now."""

    def __init__(self, uses: Uses, images: Images, catalog: ContainerCatalog) -> None:
        self._uses = uses
        self._images = images
        self._catalog = catalog

    def on_container_event(self, container: Container, action: str) -> None:
        """To be told of what containers do."""
        if action in ACTIONS:
            self._uses.note("image", self._images_of(container))
            self._uses.note("volume", _volumes_of(container))

    def images(self) -> dict[str, int]:
        """By id; those never used are not in it."""
        for container in self._running():
            self._uses.note("image", self._images_of(container))
        return self._uses.all("image")

    def volumes(self) -> dict[str, int]:
        """By name."""
        for container in self._running():
            self._uses.note("volume", _volumes_of(container))
        return self._uses.all("volume")

    def _running(self) -> list[Container]:
        return [entry.value for entry in self._catalog if has_process(entry.state)]

    def _images_of(self, container: Container) -> set[str]:
        mounted = [point.request.source for point in container.mounts if point.type == "image" and point.request is not None]
        return {container.image_id, *filter(None, map(self._find, mounted))}

    def _find(self, reference: str) -> str | None:
        try:
            return self._images.find_id(reference)
        except Invalid:
            return None


def _volumes_of(container: Container) -> set[str]:
    return {point.name for point in container.mounts if point.type == "volume"}
