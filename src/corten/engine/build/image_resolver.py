"""Resolves base images of a build: from the store, else pulled."""

from corten.build.options import BaseImage
from corten.build.singleflight import SingleFlight
from corten.engine.build.provenance import Material
from corten.engine.transfer.pull import Pulls
from corten.ids import ImageId
from corten.oci.reference import parse_reference
from corten.registry.auth import Credentials
from corten.store.images import Image, Images
from corten.store.records.uses import Uses


class BaseImageResolver:
    """`corten.build.options.Images`. `credentials` by registry domain, as the client sent them; `pulling` is shared by all builds."""

    def __init__(self, images: Images, uses: Uses, pulls: Pulls, credentials: dict[str, Credentials], pulling: SingleFlight[None]) -> None:
        self._images = images
        self._uses = uses
        self._pulls = pulls
        self._credentials = credentials
        self._pulling = pulling
        self._known: dict[tuple[str, str], BaseImage] = {}

    async def resolve(self, reference: str, *, pull: bool, platform: str) -> BaseImage:
        """Once for a build: a second call gives the same image. Raises NotFound, Unavailable, Unauthenticated."""
        known = self._known.get((reference, platform))
        if known is None:
            known = self._known[reference, platform] = await self._resolved(reference, pull=pull, platform=platform)
        return known

    async def _resolved(self, reference: str, *, pull: bool, platform: str) -> BaseImage:
        found = None if pull else self._images.find(reference)
        if found is None:
            parsed = parse_reference(reference)
            credentials = self._credentials.get(parsed.domain)
            await self._pulling.do(
                (reference, platform, credentials),
                lambda stream, data: None,
                lambda _: self._pulls.pull(parsed, lambda line: None, platform=platform, credentials=credentials),
            )
            found = self._images.get(reference)
        self._uses.note("image", (found.id,))
        return _base(reference, found)

    def materials(self) -> list[Material]:
        """What this build has resolved."""
        found = []
        for (reference, platform), base in self._known.items():
            image = self._images.by_id(ImageId(base.id))
            digests = [name.digest for name in image.digests] if image else []
            found.append(Material(reference, platform, str(digests[0] or base.id) if digests else base.id))
        return found


def _base(reference: str, image: Image) -> BaseImage:
    return BaseImage(reference, image.id, image.config, image.layers)
